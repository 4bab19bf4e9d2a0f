"""How many items to pickle together."""

from __future__ import annotations

LIGHT = 2**14  # bytes; items are pickled together up to that many
_MOST_TOGETHER = 256
# items have a large part in common if several of them take at most so many times what one does
_SHARING = 1.5


class Grouping:
    """How many items are pickled together: many small ones, or many that have most in common, or
    each by itself.

    Parameters
    ----------
    light : int
        So many bytes are few.
    """

    def __init__(self, light: int = LIGHT) -> None:
        self.size = 1
        self._light = light
        self._alone: int | None = None  # weight of one, if that is large

    def is_good(self, count: int, weight: int) -> bool:
        """Return whether so many items that weigh so much should stay together, and choose the next
        number.
        """
        if weight < self._light:
            self.size = min(2 * self.size, _MOST_TOGETHER)
            return True
        if count == 1:
            self.size = 2 if self._alone is None else 1
            self._alone = weight
            return True
        if self._alone is not None and weight < _SHARING * self._alone:
            self.size = min(2 * self.size, _MOST_TOGETHER)
            return True
        self.size = max(1, count // 8)
        return count <= 2 and weight < 2 * self._light
