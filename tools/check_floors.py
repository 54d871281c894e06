"""Check that every file of the package imports only from lower floors, and siblings not at all.

    python tools/check_floors.py

The floors are the architecture (docs/internals.md). Also: no module may
bear the name of a public function, and no file may grow past its limit of lines.
"""

import ast
import sys
from pathlib import Path

PACKAGE = "tinygrad_rnn"
ROOT = Path(__file__).resolve().parent.parent / PACKAGE
FLOORS = {
    "errors": 0,
    "words": 0,
    "storage": 1,
    "kernels": 1,
    "inputs": 1,
    "rules": 1,
    "op": 2,
    "states": 2,
    "ops": 3,
    "switches": 3,
    "conversion": 4,
    "dtypes": 4,
    "hooks": 4,
    "rolling": 4,
    "graph": 5,
    "sweep": 6,
    "recording": 6,
    "reading": 6,
    "autodiff": 7,
    "slicing": 7,
    "tensors": 8,
    "creation": 9,
    "drawn": 10,
    "nn": 10,
    "optim": 10,
    "compiler": 10,
    "viz": 10,
    "interop": 11,
    "train": 11,
    "testing": 11,
    "forecast": 12,
    "__init__": 12,
}
LINES = 430  # files should stay near 300


def part(path: Path) -> str:
    """The floor's name a file belongs to: its folder, or its own stem."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> list[tuple[int, str]]:
    """(line, part) of everything that a file imports from the package."""
    found = []
    here = [PACKAGE, *path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            names = [*base, *(node.module or "").split(".")] if node.module else base
            if names[:1] != [PACKAGE]:
                continue
            if len(names) > 1:
                found.append((node.lineno, names[1]))
            else:
                found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                names = alias.name.split(".")
                if names[0] == PACKAGE:
                    found.append((node.lineno, names[1] if len(names) > 1 else "__init__"))
    return found


def _names(path: Path) -> set[str]:
    """What a package's `__init__` takes out of its modules (not the modules themselves)."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name for alias in node.names}
            if "*" in found:
                found = found - {"*"} | _public(path.parent / node.module)
    return found


def _public(module: Path) -> set[str]:
    """The names that a module's `__all__` lists; of a package those its files list."""
    if module.is_dir():
        return _names(module / "__init__.py")
    tree = ast.parse(module.with_suffix(".py").read_text())
    [names] = [n.value for n in tree.body if isinstance(n, ast.Assign) and "__all__" in _to(n)]
    return set(ast.literal_eval(names))


def _to(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def problems() -> list[str]:
    """Every broken rule, as a line of text."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        own, where = part(path), path.relative_to(ROOT.parent)
        if own not in FLOORS:
            found.append(f"{where}: {own!r} stands on no floor; add it to FLOORS")
            continue
        if path.name == "__init__.py":
            stems = {p.stem for p in path.parent.glob("*.py")}
            found += [
                f"{where}: {name!r} is a module and a public name; rename the module"
                for name in sorted(stems & _names(path))
            ]
        lines = len(path.read_text().splitlines())
        if lines > LINES:
            found.append(f"{where}: {lines} lines, the limit is {LINES}")
        for line, other in imported(path):
            if other == own:
                continue
            if other not in FLOORS:
                found.append(f"{where}:{line}: imports {other!r}, which stands on no floor")
            elif FLOORS[other] >= FLOORS[own]:
                found.append(
                    f"{where}:{line}: {own} (floor {FLOORS[own]}) imports {other} "
                    f"(floor {FLOORS[other]})"
                )
    return found


def main() -> None:
    """Print the problems; exit 1 if there are any."""
    found = problems()
    print("\n".join(found) or f"floors: {len(list(ROOT.rglob('*.py')))} files in order")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
