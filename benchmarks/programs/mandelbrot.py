"""The Mandelbrot set, row by row."""

from mpipar import Count, PositiveInt, driver


@driver(n="rows", reduction=Count, block=8)
def mandelbrot(block, *, rows: PositiveInt = 1000, most: PositiveInt = 1000):
    """Count the steps that the points of a picture of the Mandelbrot set take."""
    total = 0
    for row in block:
        y = 2.5 * row / rows - 1.25
        for column in range(rows):
            x = 2.5 * column / rows - 2.0
            a = b = 0.0
            steps = 0
            while steps < most and a * a + b * b <= 4.0:
                a, b = a * a - b * b + x, 2.0 * a * b + y
                steps += 1
            total += steps
    return total


mandelbrot.on("compiled")(mandelbrot.function)

if __name__ == "__main__":
    mandelbrot.main()
