"""Write docs/api.md out of the docstrings, by griffe2md; `--check` fails if it is not up to date.

python tools/api.py [--check]
"""

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import griffe
from griffe2md import default_config, render_object_docs

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
PARTS = [
    "",
    ".nn",
    ".nn.init",
    ".optim",
    ".optim.lr_scheduler",
    ".train",
    ".interop",
    ".viz",
    ".testing",
    ".op",
]
HEAD = """\
# Every public name

Written by `python tools/api.py` out of the docstrings. All examples begin with `import numpy as np`
and `import tinygrad_rnn as tg`, not repeated here.
"""
CONFIG = {**default_config, "summary": False, "separate_signature": False}
CONFIG.update(
    heading_level=3, inherited_members=False, show_bases=False, show_if_no_docstring=False
)


def public(name: str) -> list[str]:
    """The names of a module that are meant for use and are no modules themselves."""
    module: Any = importlib.import_module(name)
    names = getattr(module, "__all__", None) or _named(Path(module.__file__))
    return sorted(n for n in names if callable(getattr(module, n)))


def _named(path: Path) -> list[str]:
    """What a file defines, and what it imports as itself, which hands it on."""
    found, body = [], ast.parse(path.read_text()).body
    body += [node for part in body if isinstance(part, ast.If) for node in part.body]  # for types
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.asname == alias.name]
    return [name for name in found if not name.startswith("_")]


def fenced(text: str) -> str:
    """The text, its examples as blocks of code."""
    return re.sub(r"^(>>> .*(?:\n.+)*)", r"```pycon\n\1\n```", text, flags=re.M)


def page() -> str:
    """The whole page."""
    package: Any = griffe.load("tinygrad_rnn", search_paths=[str(ROOT)], resolve_aliases=True)
    parts = [HEAD]
    for part in PARTS:
        name = "tinygrad_rnn" + part
        module = importlib.import_module(name)
        parts.append(f"## `{name}`\n\n{fenced(inspect.getdoc(module) or '')}\n")
        for each in public(name):
            try:
                found = package[f"{part}.{each}".lstrip(".")]
            except KeyError:  # a second name, given by assignment
                first = getattr(module, each).__name__
                parts.append(f"### `{name}.{each}`\n\nThe same as `{name}.{first}`.\n")
                continue
            found = found.final_target if found.is_alias else found
            text = render_object_docs(found, CONFIG)
            parts.append(fenced(text.replace(f"`{found.path}", f"`{name}.{each}")).strip() + "\n")
    return "\n".join(parts)


def main() -> None:
    """Write the page, or say that it is old and exit with 1."""
    text = page()
    if "--check" not in sys.argv:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        sys.exit("docs/api.md is not up to date: run python tools/api.py")


if __name__ == "__main__":
    main()
