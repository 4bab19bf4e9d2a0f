"""``@override`` marks a method that the base class describes; Python itself has it from 3.12 on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

Method = TypeVar("Method")

if TYPE_CHECKING:
    from typing_extensions import override as override
else:

    def override(method: Method) -> Method:
        """Return the method as it is."""
        return method
