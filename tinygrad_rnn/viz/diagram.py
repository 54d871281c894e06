"""A diagram: its DOT source, files in five forms, and what a notebook shows."""

import os
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import RenderError
from . import dot, engine, svg
from .picture import Picture

FORMS = (".svg", ".png", ".pdf", ".gv", ".html")


class Diagram:
    """A picture of a graph; made by `viz.unrolled`, `viz.rolled` and `viz.gradient_flow`.

    `.svg`, `.html` and `.gv` need no other program; `.png` and `.pdf` need Graphviz or
    the extra `render`.
    """

    def __init__(self, picture: Picture, summary: str, forward: Picture | None = None):
        self.picture, self._summary = picture, summary
        self.forward = forward  # the same graph without gradients, for the page's switch

    @cached_property
    def source(self) -> str:
        """The diagram in DOT, every place given: `neato -n2` paints it."""
        return dot.write(self.picture)

    @cached_property
    def svg(self) -> str:
        """The diagram as SVG."""
        return svg.write(self.picture)

    @cached_property
    def html(self) -> str:
        """The diagram as a page of its own: pan, zoom, search, and a slider through the sweep."""
        from .page import write

        return write(self)

    def summary(self) -> str:
        """What the diagram shows, in words."""
        return self._summary

    def save(self, path: str | os.PathLike[str], seconds: float = engine.SECONDS) -> Path:
        """Write a file, its form by the suffix: .svg, .png, .pdf, .gv (DOT) or .html.

        Either the whole file is there in the end or what was there before. Raises
        RenderError for another suffix, a PNG over 32,767 pixels, or where no engine is
        installed or one takes longer than `seconds`; the DOT file is written then.
        """
        target = Path(path)
        form = target.suffix.lower()
        if form not in FORMS:
            raise RenderError(
                f"save: the suffix of {target.name!r} must be one of {', '.join(FORMS)}"
            )
        if form in (".png", ".pdf"):
            _write(target, self._painted(target, form[1:], seconds))
        else:
            texts: dict[str, Callable[[], str]] = {
                ".svg": lambda: self.svg, ".gv": lambda: self.source, ".html": lambda: self.html
            }  # fmt: skip
            _write(target, texts[form]().encode())
        return target

    def _painted(self, target: Path, form: str, seconds: float) -> bytes:
        if form == "png":
            pixels = max(self.picture.width, self.picture.height) / 72 * 96 + 40
            if pixels > engine.PIXELS:
                raise RenderError(
                    f"save: a PNG of this diagram would be {pixels:,.0f} pixels wide or high, over "
                    f"{engine.PIXELS:,}; show fewer steps, or write .svg or .html"
                )
        try:
            return engine.paint(self.source, form, seconds=seconds)
        except RenderError as error:
            beside = target.with_suffix(".gv")
            _write(beside, self.source.encode())
            raise RenderError(f"save: {error}. The DOT file is {beside}") from None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.summary()}

    def __repr__(self) -> str:
        return f"<Diagram: {self.summary().splitlines()[0]}>"


class GradientDiagram(Diagram):
    """A diagram with the figures behind it."""

    def __init__(self, picture: Picture, summary: str, forward: Picture, table: Any):
        super().__init__(picture, summary, forward)
        self._table = table

    def table(self) -> Any:
        """The figures as arrays: `edges`, `states`, `parameters`, `rates`, `totals`."""
        return self._table


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    except OSError as error:
        raise RenderError(f"save: cannot write into {path.parent}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except OSError as error:
        os.unlink(name)
        raise RenderError(f"save: cannot write {path}: {error.strerror}") from None
