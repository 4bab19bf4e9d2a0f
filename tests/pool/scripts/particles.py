"""Objects of the script's own classes as arguments and results of tasks."""

from collections import namedtuple
from dataclasses import dataclass, field, replace
from enum import Enum
from multiprocessing import Pool
from typing import NamedTuple


class State(Enum):
    FLYING = "flying"
    LANDED = "landed"


class Vector(NamedTuple):
    x: float
    y: float

    def plus(self, other, factor=1.0):
        return Vector(self.x + factor * other.x, self.y + factor * other.y)


Report = namedtuple("Report", "name height state")
GRAVITY = Vector(0.0, -9.81)


@dataclass
class Particle:
    name: str
    position: Vector
    velocity: Vector
    state: State = State.FLYING
    path: list = field(default_factory=list)


class Heavy(Particle):
    pass


def fly(particle):
    position, velocity = particle.position, particle.velocity
    while position.y >= 0:
        particle.path.append(round(position.y, 3))
        velocity = velocity.plus(GRAVITY, 0.1)
        position = position.plus(velocity, 0.1)
    return replace(particle, position=position, velocity=velocity, state=State.LANDED)


def report(particle):
    return Report(particle.name, max(particle.path), particle.state)


if __name__ == "__main__":
    particles = [Particle(f"p{i}", Vector(0.0, float(i)), Vector(1.0, 5.0)) for i in range(4)]
    particles.append(Heavy("heavy", Vector(0.0, 0.0), Vector(0.0, 20.0)))
    with Pool(2) as pool:
        landed = pool.map(fly, particles)
        reports = pool.map(report, landed)
    for before, after, line in zip(particles, landed, reports, strict=True):
        print(
            after.name,
            type(after) is type(before),
            after.state is State.LANDED,
            len(before.path),
            line,
        )
        print(f"    {after.position.x:.3f} {after.position.y:.3f} {isinstance(line, Report)}")
