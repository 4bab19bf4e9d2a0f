"""What with_module.py imports: shapes, and a constant that it sets."""

import math

UNIT = 1.0
SHAPES = ("square", "circle")


class Shape:
    def __init__(self, kind, size):
        self.kind, self.size = kind, size

    def __repr__(self):
        return f"{self.kind} of {self.size}"


def area(shape):
    factor = math.pi if shape.kind == "circle" else 1.0
    return factor * shape.size**2


def enlarged(shape):
    return Shape(shape.kind, 2 * shape.size)
