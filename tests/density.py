"""How dense the code is, package by package: what a line costs a reader.

``python tests/density.py [PATH …]`` prints the figures. ``--hold`` fails where a package is over a
limit and over what tests/density.json allows it, which ``--lower`` lowers to the figures of today.
Nothing raises them: that is a change of that file for a reviewer to see.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import math
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from radon.visitors import ComplexityVisitor

ROOT = Path(__file__).parents[1]
ALLOWED = Path(__file__).with_name("density.json")
_LAYOUT = {
    tokenize.NEWLINE,
    tokenize.NL,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.COMMENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}
_FSTRING_START = getattr(tokenize, "FSTRING_START", None)
_FSTRING_END = getattr(tokenize, "FSTRING_END", None)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
LIMITS = {
    "tokens a line": 8.0,
    "ternaries": 14.0,
    "comprehensions": 26.0,
    "complex": 0.02,
    "worst": 15,
    "skips": 5,
    "median": 150,
    "longest": 400,
}
"""What mpipar/ as a whole may have at most."""
HELD = ("tokens a line", "ternaries", "comprehensions", "complex", "worst", "longest")
"""What no package may have more of than tests/density.json says, if that is over a limit."""


@dataclass
class Density:
    """What is counted in some modules.

    Attributes
    ----------
    lines, tokens : int
        Of code: no blank lines, comments and docstrings.
    ternaries, comprehensions, skips : int
        ``a if b else c``; comprehensions and generator expressions; ``# fmt: skip``.
    modules : list of (int, str)
        Lines of each file (all of them), and its name.
    functions : list of (int, str)
        Cyclomatic complexity, as radon counts it, and the function's name.
    """

    lines: int = 0
    tokens: int = 0
    ternaries: int = 0
    comprehensions: int = 0
    skips: int = 0
    modules: list[tuple[int, str]] = field(default_factory=list)
    functions: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Count one module."""
        source = path.read_text()
        tree = ast.parse(source)
        name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
        self._add_tokens(source, _docstring_lines(tree))
        for node in ast.walk(tree):
            self.ternaries += isinstance(node, ast.IfExp)
            self.comprehensions += isinstance(node, _COMPREHENSIONS)
        self.skips += source.count("# fmt: skip")
        self.modules.append((source.count("\n"), name))
        for block in _functions(ComplexityVisitor.from_ast(tree)):
            self.functions.append((block.complexity, f"{name}:{block.lineno} {block.fullname}"))

    def _add_tokens(self, source: str, docstrings: set[int]) -> None:
        lines = set()
        inside = 0  # f-strings, which are a token each, as up to Python 3.11
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type in _LAYOUT or token.start[0] in docstrings:
                continue
            inside -= token.type == _FSTRING_END
            self.tokens += inside == 0 and token.type != _FSTRING_END
            inside += token.type == _FSTRING_START
            lines.update(range(token.start[0], token.end[0] + 1))
        self.lines += len(lines)

    def figures(self) -> dict[str, float]:
        """Return what LIMITS limits."""
        complexities = [complexity for complexity, _ in self.functions]
        too_complex = sum(complexity > 10 for complexity in complexities)
        lengths = [length for length, _ in self.modules]
        return {
            "tokens a line": self.tokens / max(self.lines, 1),
            "ternaries": 1000 * self.ternaries / max(self.lines, 1),
            "comprehensions": 1000 * self.comprehensions / max(self.lines, 1),
            "complex": too_complex / max(len(complexities), 1),
            "worst": max(complexities, default=0),
            "skips": self.skips,
            "median": statistics.median(lengths) if lengths else 0,
            "longest": max(lengths, default=0),
        }


def _docstring_lines(tree: ast.Module) -> set[int]:
    """Return the lines of docstrings, and of the strings that describe attributes."""
    found: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, _WITH_DOCSTRING):
            continue
        for statement in node.body:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                found.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
    return found


def _functions(visitor: ComplexityVisitor) -> Iterator[object]:
    """Yield each function and method, those inside of others too."""
    waiting = [*visitor.functions, *visitor.classes]
    while waiting:
        block = waiting.pop()
        if hasattr(block, "methods"):
            waiting += [*block.methods, *block.inner_classes]
            continue
        waiting += block.closures
        yield block


def measure(paths: list[Path]) -> Density:
    """Count all modules under some files and folders."""
    density = Density()
    for path in paths:
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            density.add(module)
    return density


def packages() -> dict[str, Density]:
    """Measure each package of mpipar; the drivers are one."""
    root = ROOT / "mpipar"
    found = {"drivers": measure(sorted(root.glob("*.py")))}
    for init in sorted(root.glob("*/__init__.py")):
        found[init.parent.name] = measure([init.parent])
    return found


def allowed() -> dict[str, dict[str, float]]:
    """Return what each package may have where that is over a limit: {package: {figure: most}}."""
    table: dict[str, dict[str, float]] = json.loads(ALLOWED.read_text(encoding="utf-8"))
    return table


def grown(found: dict[str, Density]) -> list[str]:
    """Return what is denser than it may be, in words."""
    most = allowed()
    denser = []
    for package, density in found.items():
        for name, figure in density.figures().items():
            limit = max(LIMITS[name], most.get(package, {}).get(name, 0.0))
            if name in HELD and figure > limit:
                denser.append(f"{package}: {name} {figure:.4g}, where {limit:.4g} are allowed")
    return denser


def lowered(found: dict[str, Density]) -> dict[str, dict[str, float]]:
    """Return the table with the figures of today where these are lower."""
    table: dict[str, dict[str, float]] = {}
    for package, most in allowed().items():
        figures = found[package].figures() if package in found else {}
        for name, before in most.items():
            now = min(before, _rounded_up(name, figures.get(name, 0.0)))
            if now > LIMITS[name]:
                table.setdefault(package, {})[name] = now
    return table


def _rounded_up(name: str, figure: float) -> float:
    """Return a figure with the digits that the table has, never less than it is."""
    digits = _DIGITS.get(name, 0)
    return math.ceil(figure * 10**digits) / 10**digits


_DIGITS = {"tokens a line": 1, "complex": 3}


def _row(name: str, density: Density) -> str:
    found = density.figures()
    return (
        f"{name:12} {len(density.modules):7} {density.lines:7} {found['tokens a line']:8.2f}"
        f" {found['ternaries']:9.1f} {found['comprehensions']:14.1f} {found['complex']:8.1%}"
        f" {found['worst']:6.0f} {found['skips']:6} {found['median']:7.0f} {found['longest']:8}"
    )


def _list_worst(density: Density) -> None:
    for complexity, name in sorted(density.functions, reverse=True):
        if complexity > 10:
            print(f"{complexity:4} {name}")
    for length, name in sorted(density.modules, reverse=True):
        if length > LIMITS["longest"]:
            print(f"{length:4} lines: {name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="files and folders (default: mpipar)")
    parser.add_argument("--worst", action="store_true", help="list functions over complexity 10")
    parser.add_argument("--hold", action="store_true", help="say what is denser than it may be")
    parser.add_argument("--lower", action="store_true", help="allow no more than there is today")
    return parser


def main(arguments: list[str]) -> int:
    """Print the table, and what is over a limit; return 1 if the whole is over one."""
    options = _parser().parse_args(arguments)
    if options.hold:
        denser = grown(packages())
        print("\n".join(denser) or "no package is denser than it may be")
        return 1 if denser else 0
    if options.lower:
        table = lowered(packages())
        ALLOWED.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        return 0
    paths = [path.resolve() for path in options.paths] or [ROOT / "mpipar"]
    whole = measure(paths)
    print(
        f"{'':12} modules   lines tokens/l ternaries comprehensions  complex  worst  skips"
        "  median  longest"
    )
    if not options.paths:
        for name, density in packages().items():
            print(_row(name, density))
    print(_row("all", whole))
    if options.worst:
        _list_worst(whole)
    over = [name for name, figure in whole.figures().items() if figure > LIMITS[name]]
    if over:
        print(f"over the limit: {', '.join(over)}")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
