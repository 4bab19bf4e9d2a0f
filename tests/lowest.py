"""The lowest versions that setup.cfg allows, as constraints for pip.   python tests/lowest.py > FILE

Each ``name >= version`` of the dependencies and of the extras becomes ``name==version``.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"
LEFT_OUT = ("bench", "docs", "gpu")
"""Extras that no test needs, or that take a GPU."""

_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*>=\s*([0-9.]+)")


def lowest(text: str) -> Iterator[str]:
    """Yield a constraint for each requirement with a lower bound in the text of a setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read_string(text)
    sections = [setup["options"]["install_requires"]]
    for name, requirements in setup["options.extras_require"].items():
        if name not in LEFT_OUT:
            sections.append(requirements)
    found = {}
    for line in "\n".join(sections).splitlines():
        match = _REQUIREMENT.match(line.strip())
        if match is not None:
            found[match[1]] = match[2]
    for name, version in sorted(found.items()):
        yield f"{name}=={version}"


if __name__ == "__main__":
    print("\n".join(lowest(SETUP.read_text(encoding="utf-8"))))
