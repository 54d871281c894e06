"""Draw what a function returns: python -m tinygrad_rnn.viz FILE.py:FUNCTION -o OUT.svg"""

import argparse
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import GraphError, RenderError
from ..tensors import Tensor
from . import OPTIONS, Diagram, gradient_flow, rolled, unrolled


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit status is 0 when the file was written."""
    p = argparse.ArgumentParser(
        prog="tools/draw",
        description="Draw the graph of what a function returns: a tensor, or a tuple of them.",
    )
    p.add_argument("what", metavar="FILE.py:FUNCTION", help="a function without arguments")
    p.add_argument("--view", choices=["unrolled", "rolled", "gradient"], default="unrolled")
    p.add_argument("--steps", default="auto", help="auto, all, or numbers and ranges: 0,5,90:100")
    p.add_argument("--from-step", type=int, help="gradient: only the loss of this step")
    for name, choices in OPTIONS.items():
        p.add_argument(f"--{name}", choices=choices, default="auto")
    forms = "OUT.svg, .png, .pdf, .html or .gv; of a gradient also .gif or .webp"
    p.add_argument("-o", "--out", required=True, help=forms)
    args = p.parse_args(argv)
    try:
        path = draw(args).save(args.out)
    except (GraphError, RenderError, DrawError) as error:
        print(f"tools/draw: {error}", file=sys.stderr)
        return 1
    print(path)
    return 0


class DrawError(Exception):
    """A command line that cannot be followed."""


def draw(args: argparse.Namespace) -> Diagram:
    """The diagram that the command line asks for."""
    output, steps = _result(args.what), _steps(args.steps)
    options = {name: getattr(args, name) for name in OPTIONS}
    if args.view == "rolled":
        return rolled(output, **options)
    if args.view == "gradient":
        return gradient_flow(output, from_step=args.from_step, steps=steps, **options)
    return unrolled(output, steps=steps, **options)


def _result(what: str) -> Any:
    """What FILE.py:FUNCTION returns."""
    file, colon, name = what.rpartition(":")
    path = Path(file)
    if not colon or not name.isidentifier():
        raise DrawError(f"expected FILE.py:FUNCTION, got {what!r}")
    if not path.is_file():
        raise DrawError(f"there is no file {file!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DrawError(f"{file!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        known = [n for n, f in vars(module).items() if callable(f) and not n.startswith("_")]
        raise DrawError(f"{path.name} has no function {name!r}; it has {', '.join(known[:10])}")
    result = function()
    tensors = list(_flat(result))
    for t in tensors:
        if not isinstance(t, Tensor):
            raise DrawError(f"{name} must return a Tensor or several, got {type(t).__name__}")
    if not tensors:
        raise DrawError(f"{name} must return a Tensor or several, got {result!r}")
    return tensors[0] if len(tensors) == 1 else tensors


def _flat(result: Any) -> Iterator[Any]:
    """What is in tuples and lists, however deep."""
    if isinstance(result, tuple | list):
        for r in result:
            yield from _flat(r)
    else:
        yield result


def _steps(text: str) -> Any:
    """`auto`, `all`, or a list of step numbers."""
    if text in ("auto", "all"):
        return text
    found: list[int] = []
    try:
        for part in text.split(","):
            first, colon, last = part.partition(":")
            found += range(int(first), int(last)) if colon else [int(first)]
    except ValueError:
        raise DrawError(f"--steps: auto, all, or like 0,5,90:100; got {text!r}") from None
    return found


if __name__ == "__main__":
    sys.exit(main())
