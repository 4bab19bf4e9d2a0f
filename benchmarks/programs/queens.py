"""Queens that attack none of the others."""

from mpipar import Count, PositiveInt, driver


def ways(columns, left, right, board):
    """Return in how many ways the other queens can be placed; the bits are what is attacked."""
    if columns == board:
        return 1
    count = 0
    free = board & ~(columns | left | right)
    while free:
        place = free & -free
        free ^= place
        count += ways(columns | place, (left | place) << 1, (right | place) >> 1, board)
    return count


@driver(n=lambda queens: queens**2, reduction=Count, block=1)
def queens(block, *, queens: PositiveInt = 8):
    """Count the ways to place queens on a board of as many rows."""
    board = 2**queens - 1
    count = 0
    for item in block:
        first = 1 << (item // queens)
        second = 1 << (item % queens)
        if second & (first | first << 1 | first >> 1):
            continue
        left = (first << 1 | second) << 1
        right = (first >> 1 | second) >> 1
        count += ways(first | second, left, right, board)
    return count


queens.on("compiled")(queens.function)

if __name__ == "__main__":
    queens.main()
