"""The period of a pendulum that swings far: what sweep-array.toml calls for each row of
pendulum.toml.
"""

import math


def period(length: float, angle: float) -> dict[str, float]:
    """Return the period in seconds, for a length in metres and a largest angle in degrees.

    T = 2π √(l/g) / agm(1, cos(θ/2)), with the arithmetic-geometric mean agm.
    """
    a, g = 1.0, math.cos(math.radians(angle) / 2)
    while abs(a - g) > 1e-15:
        a, g = (a + g) / 2, math.sqrt(a * g)
    small = 2 * math.pi * math.sqrt(length / 9.80665)
    return {"period": small / a, "small_angle": small}
