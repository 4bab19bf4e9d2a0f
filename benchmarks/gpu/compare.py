"""π and π by Monte Carlo on one GPU: mpipar's kernels beside CUDA C++ written by hand, and the bits over ranks.

    python benchmarks/gpu/compare.py                 10¹¹ steps and samples; needs an NVIDIA GPU and mpipar[gpu]
    python benchmarks/gpu/compare.py --steps 1e9 --samples 1e9 --ranks 1 2

Kernels are timed by CUDA events, in turn. Of π it also tells how long the arithmetic of mpipar's kernel would take at
the rates that this GPU reaches in chains of nothing but fma, and of nothing but divisions.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mpipar import BadInput
from mpipar.mcpi import mcpi
from mpipar.pi import pi
from mpipar.runtime.device import COMPILER_OPTIONS, Gpu, visible

THREADS = 256  # as in rivals.cu
CHAINS = 8
# Of two steps in pi.cu, what takes as long as an fma: 4 fma, a product and a sum (for its number); and half of what two
# pairs have together, which is an fma, two products and a sum.
FMA_OF_A_PAIR, DIVISIONS_OF_A_PAIR = 8.0, 0.5
LIMIT_SECONDS = 600


def main() -> int:
    """Measure and print; return 0, 1 if a result is wrong, or 2 if there is no GPU."""
    parser = argparse.ArgumentParser(description="mpipar on a GPU beside CUDA C++ written by hand")
    parser.add_argument("--steps", type=lambda text: int(float(text)), default=10**11)
    parser.add_argument("--samples", type=lambda text: int(float(text)), default=10**11)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ranks", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--blocks", type=int, default=0, help="blocks of threads of the rivals (default: to fill it)")
    options = parser.parse_args()
    try:
        gpu = visible()[0]
    except BadInput as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    bench = Bench(gpu, options.rounds, options.blocks)
    print(f"{gpu.name}, {options.rounds} rounds, median")
    well = [bench.compare_pi(options.steps), bench.compare_mcpi(options.samples)]
    well += [same_bits(["mpipar.pi", "--steps", str(options.steps)], options.ranks)]
    well += [same_bits(["mpipar.mcpi", "--samples", str(options.samples)], options.ranks)]
    return 0 if all(well) else 1


class Bench:
    """Kernels on one GPU, timed in turn."""

    def __init__(self, gpu: Gpu, rounds: int, blocks: int) -> None:
        self.accelerator, self.rounds = gpu.open(), rounds
        self.cupy = self.accelerator.xp
        properties = self.cupy.cuda.runtime.getDeviceProperties(gpu.number)
        self.blocks = blocks or 512 * int(properties["multiProcessorCount"])  # many waves: the last may be half empty
        source = Path(__file__).with_name("rivals.cu").read_text(encoding="utf-8")
        # As nvcc does: fma where it likes. The names of the options are those of both compilers.
        self.rivals = self.cupy.RawModule(code=source, options=("-fmad=true",))
        assert COMPILER_OPTIONS == ("-fmad=false",)

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
        """Run a kernel of rivals.cu over the whole GPU."""
        self.rivals.get_function(name)((self.blocks,), (THREADS,), arguments)

    def compare_pi(self, steps: int) -> bool:
        """Print the times of π; return whether both values are right."""
        bound = pi.bind({"steps": steps}, device="gpu")
        sums = self.cupy.zeros((self.blocks,), dtype=self.cupy.float64)
        ours, theirs = self.seconds(
            lambda: total(bound, self.accelerator), lambda: self.launch("rival_pi", np.int64(steps), sums)
        )
        value = bound.result(total(bound, self.accelerator))
        other = float(self.accelerator.to_host(self.cupy.sum(sums))) / steps
        exact = math.pi + 1 / (12 * float(steps) ** 2)
        floor = self.floor(steps)
        print(f"π, {steps:.3g} steps: mpipar {ours:.4f} s, by hand {theirs:.4f} s, ratio {ours / theirs:.3f}")
        print(f"  {floor / ours:.1%} of the speed at which its arithmetic could be done ({floor:.4f} s)")
        print(f"  mpipar {value!r} ({abs(value - exact) / math.ulp(exact):.1f} ulp), by hand {other!r}")
        return abs(value - exact) <= 2 * math.ulp(exact) and abs(other - exact) < 1e-9

    def floor(self, steps: int) -> float:
        """Return the seconds that the arithmetic of pi.cu would take at the rates of its units."""
        rounds = max(1, min(20_000, steps // (self.blocks * THREADS * CHAINS)))
        results = self.cupy.zeros((self.blocks * THREADS,), dtype=self.cupy.float64)
        one, other = np.float64(0.999), np.float64(1.5)
        times = self.seconds(
            *(
                lambda name=name: self.launch(name, one, other, np.int64(rounds), results)
                for name in ("fma_rate", "division_rate")
            )
        )
        count = rounds * self.blocks * THREADS * CHAINS
        of_fma, of_division = (time / count for time in times)
        return steps / 2 * (FMA_OF_A_PAIR * of_fma + DIVISIONS_OF_A_PAIR * of_division)

    def compare_mcpi(self, samples: int) -> bool:
        """Print the times of π by Monte Carlo; return whether both values are within five standard errors."""
        bound = mcpi.bind({"samples": samples}, device="gpu", seed=1)
        hits = self.cupy.zeros((), dtype=self.cupy.uint64)
        ours, theirs = self.seconds(
            lambda: total(bound, self.accelerator),
            lambda: self.launch("rival_mcpi", np.uint32(1), np.int64(samples), hits),
        )
        value, error = bound.result(total(bound, self.accelerator))
        other = 4 * int(self.accelerator.to_host(hits)) / samples / (1 + self.rounds)
        print(f"mcpi, {samples:.3g} samples: mpipar {ours:.4f} s, by hand {theirs:.4f} s, ratio {ours / theirs:.3f}")
        print(f"  mpipar {value!r} ± {error:.2g}, by hand {other!r}")
        return abs(value - math.pi) < 5 * error and abs(other - math.pi) < 5 * error


def total(bound: Any, accelerator: Any) -> Any:
    """Evaluate all blocks of a kernel as a rank does, one after the other, and return their total."""
    evaluate, reduction = bound.evaluator(accelerator=accelerator), bound.reduction
    sum_of_blocks = reduction.start()
    for index in range(bound.plan.n_blocks):
        sum_of_blocks = reduction.add(sum_of_blocks, evaluate(bound.plan[index]), bound.plan[index])
    return sum_of_blocks


def same_bits(command: list[str], all_ranks: list[int]) -> bool:
    """Run a driver over ranks that share the GPU, under two schedules; return whether all values are the same."""
    beside = Path(sys.executable).with_name("mpirun")
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun")
    values = {}
    for ranks in all_ranks:
        for schedule in ("stride", "dynamic"):
            launcher = [str(mpirun), "-np", str(ranks)] if ranks > 1 else []
            words = [*launcher, sys.executable, "-m", *command, "--device", "gpu", "--schedule", schedule, "--json"]
            ended = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
            if ended.returncode != 0:
                print(f"{' '.join(words)}\n{ended.stderr}", file=sys.stderr)
                return False
            found = json.loads(ended.stdout)
            values[ranks, schedule] = found["value"]
            print(f"  {command[0]}, np {ranks}, {schedule}: {found['value']!r} in {found['elapsed']:.3f} s", flush=True)
    print(f"{command[0]}: {'the same bits' if len(set(values.values())) <= 1 else 'OTHER BITS'} in {len(values)} runs")
    return len(set(values.values())) <= 1


if __name__ == "__main__":
    sys.exit(main())
