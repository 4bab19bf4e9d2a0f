"""Which share of each package the tests run.   python -m suite.covered coverage.json

Of what ``coverage json`` writes: of lines and branches together, as coverage's own total.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

COUNTS = ("covered_lines", "num_statements", "covered_branches", "num_branches")


def by_package(files: Mapping[str, Any]) -> dict[str, float]:
    """Return the per cent of each package that were run, the least first."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * len(COUNTS))
    for name, file in files.items():
        counts = [file["summary"].get(count, 0) for count in COUNTS]
        package = _package(name)
        sums[package] = [sum(pair) for pair in zip(sums[package], counts, strict=True)]
    shares = {}
    for package, (lines, all_lines, branches, all_branches) in sums.items():
        shares[package] = 100 * (lines + branches) / max(1, all_lines + all_branches)
    return dict(sorted(shares.items(), key=lambda item: item[1]))


def _package(name: str) -> str:
    """Return the package of a file, which is that of drivers for those at the top."""
    parts = PurePath(name).parts
    inside = parts[parts.index("mpipar") + 1 :]
    return inside[0] if len(inside) > 1 else "drivers"


def main() -> None:
    """Print a line for each package, and the total."""
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for package, share in by_package(found["files"]).items():
        print(f"{package:12}{share:6.1f} %")
    print(f"{'all':12}{found['totals']['percent_covered']:6.1f} %")


if __name__ == "__main__":
    main()
