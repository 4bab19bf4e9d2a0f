"""π and π by Monte Carlo on one GPU: mpipar's kernels beside CUDA C++ written by hand, and the bits
over ranks.

    python benchmarks/gpu/compare.py                 10¹¹ steps and samples; needs an NVIDIA GPU and mpipar[gpu]
    python benchmarks/gpu/compare.py --steps 1e9 --samples 1e9 --ranks 1 2

All are timed by CUDA events, in turn: mpipar as a rank runs it, block after block, with what Python
does between them; the others as one kernel each. Of π it also tells how long the arithmetic of
mpipar's kernel would take at the rate that this GPU reaches in chains of nothing but fma, which is
timed by itself, after them.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mpipar import BadInput
from mpipar.core.parameters import parse_int
from mpipar.mcpi import mcpi
from mpipar.pi import pi
from mpipar.runtime.device import COMPILER_OPTIONS, Gpu, visible
from mpipar.runtime.mpirun import find_mpirun

THREADS, CHAINS = 256, 8  # as in rivals.cu
# Double-precision instructions for each group of 16 steps in pi.cu: those of its source, and those
# of a division.
STEPS_OF_A_GROUP, SOURCE_OF_A_GROUP, OF_A_DIVISION = 16, 56, 8
LIMIT_SECONDS = 600


def main() -> int:
    """Measure and print; return 0, 1 if a result is wrong, or 2 if there is no GPU."""
    parser = argparse.ArgumentParser(description="mpipar on a GPU beside CUDA C++ written by hand")
    parser.add_argument("--steps", type=positive, default=10**11)
    parser.add_argument("--samples", type=positive, default=10**11)
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--ranks", type=positive, nargs="+", default=[1, 2, 4])
    parser.add_argument(
        "--blocks",
        type=positive,
        default=0,
        help="blocks of threads of the rivals (default: to fill it)",
    )
    options = parser.parse_args()
    mpirun = find_mpirun()
    try:
        gpu = visible()[0]
        if mpirun is None and max(options.ranks) > 1:
            raise BadInput("there is no mpirun: pip install mpich, or --ranks 1")
    except BadInput as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    bench = Bench(gpu, options.rounds, options.blocks)
    print(f"{gpu.name}, {options.rounds} rounds, median")
    well = [bench.compare_pi(options.steps), bench.compare_mcpi(options.samples)]
    launchers = {
        ranks: [str(mpirun), "-np", str(ranks)] if ranks > 1 else [] for ranks in options.ranks
    }
    well += [same_bits(["mpipar.pi", "--steps", str(options.steps)], launchers)]
    well += [same_bits(["mpipar.mcpi", "--samples", str(options.samples)], launchers)]
    return 0 if all(well) else 1


def positive(text: str) -> int:
    """Return a whole number from 1 on, such as 1e11. Raises ValueError."""
    number = parse_int(text)
    if number < 1:
        raise ValueError(text)
    return number


class Bench:
    """Kernels on one GPU, timed in turn."""

    def __init__(self, gpu: Gpu, rounds: int, blocks: int) -> None:
        self.accelerator, self.rounds = gpu.open(), rounds
        self.cupy = self.accelerator.xp
        properties = self.cupy.cuda.runtime.getDeviceProperties(gpu.number)
        self.blocks = blocks or 512 * int(
            properties["multiProcessorCount"]
        )  # many waves: the last may be half empty
        folder = Path(__file__).parent
        # As nvcc does: fma where it likes. The names of the options are those of both compilers.
        assert COMPILER_OPTIONS == ("-fmad=false",)
        source = (folder / "rivals.cu").read_text(encoding="utf-8")
        self.rivals = {"": self.cupy.RawModule(code=source, options=("-fmad=true",))}
        try:
            source = (folder / "rival_curand.cu").read_text(encoding="utf-8")
            self.rivals["rival_curand"] = self.cupy.RawModule(code=source, backend="nvcc")
            self.rivals["rival_curand"].compile()
        except Exception as error:  # whatever goes wrong in a compiler
            del self.rivals["rival_curand"]
            print(f"without cuRAND, which needs nvcc: {type(error).__name__}")

    def seconds(self, *works: Callable[[], Any]) -> list[float]:
        """Return the median time of each, after one round that isn't timed."""
        cuda, times = self.cupy.cuda, []
        for _ in range(1 + self.rounds):
            of_round = []
            for work in works:
                begin, end = cuda.Event(), cuda.Event()
                begin.record()
                work()
                end.record()
                end.synchronize()
                of_round.append(cuda.get_elapsed_time(begin, end) / 1000)
            times.append(of_round)
        return [statistics.median(column) for column in zip(*times[1:], strict=True)]

    def launch(self, name: str, *arguments: Any) -> None:
        """Run a kernel of the yardsticks over the whole GPU."""
        module = self.rivals.get(name) or self.rivals[""]
        module.get_function(name)((self.blocks,), (THREADS,), arguments)

    def fma_rate(self, expected: float) -> float:
        """Return how many fma the GPU does in a second; ``expected`` is how many to try."""
        rounds = max(1, min(20_000, int(expected) // (self.blocks * THREADS * CHAINS)))
        results = self.cupy.zeros((self.blocks * THREADS,), dtype=self.cupy.float64)
        arguments = np.float64(0.999), np.float64(1.5), np.int64(rounds), results
        (seconds,) = self.seconds(lambda: self.launch("fma_rate", *arguments))
        return rounds * self.blocks * THREADS * CHAINS / seconds

    def show(self, times: list[float], names: list[str]) -> None:
        """Print the times of one driver, mpipar's first."""
        for name, seconds in zip(names, times, strict=True):
            print(f"  {seconds:.4f} s  {seconds / times[0]:.3f} × mpipar's  {name}", flush=True)

    def compare_pi(self, steps: int) -> bool:
        """Print the times of π; return whether all values are right."""
        bound = pi.bind({"steps": steps}, device="gpu")
        rivals = {
            "rival_pi": "by hand, as one writes it",
            "rival_pi_unrolled": "by hand, four steps at a time",
            "rival_pi_halved": "by hand, a division for two steps",
        }
        sums = {name: self.cupy.zeros((self.blocks,), dtype=self.cupy.float64) for name in rivals}
        times = self.seconds(
            lambda: total(bound, self.accelerator),
            *(lambda name=name: self.launch(name, np.int64(steps), sums[name]) for name in rivals),
        )
        instructions = steps / STEPS_OF_A_GROUP * (SOURCE_OF_A_GROUP + OF_A_DIVISION)
        limit = instructions / self.fma_rate(instructions)
        print(
            f"π, {steps:.3g} steps in {bound.plan.n_blocks} blocks, {steps / times[0]:.3g} steps/s"
        )
        names = [f"mpipar, {bound.plan.block:.3g} steps a block", *rivals.values()]
        self.show(times, names)
        of_what = f"{instructions / steps} fma for each step, and nothing else"
        print(f"  {limit:.4f} s  {limit / times[0]:.3f} × mpipar's  {of_what}")
        value = bound.result(total(bound, self.accelerator))
        exact = math.pi + 1 / (12 * float(steps) ** 2)
        others = [
            float(self.accelerator.to_host(self.cupy.sum(sums[name]))) / steps for name in rivals
        ]
        print(
            f"  mpipar {value!r} ({abs(value - exact) / math.ulp(exact):.1f} ulp), by hand {others}"
        )
        return abs(value - exact) <= 3 * math.ulp(exact) and all(
            abs(other - exact) < 1e-9 for other in others
        )

    def compare_mcpi(self, samples: int) -> bool:
        """Print the times of π by Monte Carlo; return whether all values are within five standard
        errors.
        """
        bound = mcpi.bind({"samples": samples}, device="gpu", seed=1)
        rivals = {
            "rival_mcpi": "by hand, as one writes it",
            "rival_mcpi_unrolled": "by hand, four points at a time, counters of 32 bits",
            "rival_curand": "by hand, with cuRAND's Philox4x32-10",
        }
        if "rival_curand" not in self.rivals:
            del rivals["rival_curand"]
        hits = {name: self.cupy.zeros((), dtype=self.cupy.uint64) for name in rivals}
        times = self.seconds(
            lambda: total(bound, self.accelerator),
            *(
                lambda name=name: self.launch(name, np.uint32(1), np.int64(samples), hits[name])
                for name in rivals
            ),
        )
        print(
            f"mcpi, {samples:.3g} samples in {bound.plan.n_blocks} blocks, {samples / times[0]:.3g}"
            " samples/s"
        )
        names = [f"mpipar, {bound.plan.block:.3g} points a block", *rivals.values()]
        self.show(times, names)
        value, error = bound.result(total(bound, self.accelerator))
        others = [
            4 * int(self.accelerator.to_host(hits[name])) / samples / (1 + self.rounds)
            for name in rivals
        ]
        print(f"  mpipar {value!r} ± {error:.2g}, by hand {others}")
        return all(abs(one - math.pi) < 5 * error for one in (value, *others))


def total(bound: Any, accelerator: Any) -> Any:
    """Evaluate all blocks of a kernel as a rank does, one after the other, and return their
    total.
    """
    evaluate, reduction = bound.evaluator(accelerator=accelerator), bound.reduction
    sum_of_blocks = reduction.start()
    for index in range(bound.plan.n_blocks):
        sum_of_blocks = reduction.add(sum_of_blocks, evaluate(bound.plan[index]), bound.plan[index])
    return sum_of_blocks


def same_bits(command: list[str], launchers: dict[int, list[str]]) -> bool:
    """Run a driver over ranks that share the GPU, under two schedules; return whether all values
    are the same.

    Parameters
    ----------
    command : list of str
        The driver's module and options.
    launchers : dict
        {ranks: what goes before the command}.
    """
    values = {}
    for ranks, launcher in launchers.items():
        for schedule in ("stride", "dynamic"):
            words = [
                *launcher,
                sys.executable,
                "-m",
                *command,
                "--device",
                "gpu",
                "--schedule",
                schedule,
                "--json",
            ]
            try:
                ended = subprocess.run(
                    words, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True
                )
            except subprocess.SubprocessError as error:
                print(f"compare.py: {error}\n{error.stderr or ''}", file=sys.stderr)
                return False
            found = json.loads(ended.stdout)
            values[ranks, schedule] = found["value"]
            print(
                f"  {command[0]}, np {ranks}, {schedule}: {found['value']!r} in"
                f" {found['elapsed']:.3f} s",
                flush=True,
            )
    print(
        f"{command[0]}: {'the same bits' if len(set(values.values())) <= 1 else 'OTHER BITS'} in"
        f" {len(values)} runs"
    )
    return len(set(values.values())) <= 1


if __name__ == "__main__":
    sys.exit(main())
