"""A diagram: its DOT source, files in five forms, and what a notebook shows."""

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import graphviz

from ..errors import RenderError
from .layout import engine
from .layout.picture import Picture
from .page import page
from .paint import dot
from .pausing import paused

FORMS = (".svg", ".png", ".pdf", ".gv", ".dot", ".html")


class Diagram:
    """A picture of a graph; made by `viz.unrolled`, `viz.rolled` and `viz.gradient_flow`.

    Graphviz draws: its program `dot` on PATH, or the extra `render`, which brings the engine.

    >>> x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> diagram = tg.viz.unrolled((x * x).sum())
    >>> print(diagram.summary())
    unrolled: 3 vertices, 3 edges, 0 steps, 1 kinds of column
    """

    forms: tuple[str, ...] = FORMS

    def __init__(
        self,
        draw: Callable[[], Picture],
        summary: str,
        plain: Callable[[], graphviz.Digraph],
        page: Callable[[], page.Page],
    ):
        self._draw, self._summary, self._plain, self._page = draw, summary, plain, page

    @cached_property
    def picture(self) -> Picture:
        """Boxes, lines and texts, each with its place."""
        with paused():
            return self._draw()

    @cached_property
    def dot(self) -> graphviz.Digraph:
        """The diagram as a `graphviz.Digraph`, every place given: any tool that opens it paints.

        Where no engine is at hand to find the places, the same graph without them.
        """
        try:
            return dot.write(self.picture)
        except RenderError:
            return self._plain()

    @property
    def source(self) -> str:
        """The diagram in DOT."""
        return str(self.dot.source)

    @cached_property
    @paused()
    def svg(self) -> str:
        """The diagram as SVG; it scales down to the width of what it stands in."""
        return _svg(self.picture)

    @cached_property
    @paused()
    def html(self) -> str:
        """The diagram as a page of its own: pan, zoom, search, levels, heat maps, the sweep."""
        return page.write(self._summary, self._page(), _svg)

    def summary(self) -> str:
        """What the diagram shows, in words."""
        return self._summary

    def save(
        self, path: str | os.PathLike[str], seconds: float = engine.SECONDS, dpi: int = 96
    ) -> Path:
        """Write a file, its form by the suffix: .svg, .png, .pdf, .gv or .dot (DOT), .html.

        `dpi` is that of a PNG or a film. Either the whole file is there in the end or what was
        there before.
        Raises RenderError for another suffix, a PNG over 32,767 pixels, or where no engine is
        installed or one takes longer than `seconds`; the DOT file is written then.

        >>> y, _ = tg.nn.RNN(3, 4)(tg.ones(9, 2, 3))
        >>> tg.viz.rolled(y.sum()).save("rolled.gif")
        Traceback (most recent call last):
        tinygrad_rnn.errors.RenderError: save: the suffix of 'rolled.gif' must be one of ...
        """
        target = Path(path)
        return save(target, self.forms, lambda form: self._content(target, form, seconds, dpi))

    def show(self) -> Path:
        """Write the page to a temporary file, open it in the browser, and say where it is."""
        import webbrowser

        path = self.save(Path(tempfile.mkdtemp(prefix="tinygrad_rnn-")) / "diagram.html")
        webbrowser.open(path.as_uri())
        return path

    def _content(self, target: Path, form: str, seconds: float, dpi: int) -> bytes:
        if form in ("gv", "dot"):
            return self.source.encode()
        try:
            if form in ("svg", "html"):
                return (self.svg if form == "svg" else self.html).encode()
            if form == "png":
                pixels = max(self.picture.width, self.picture.height) / 72 * dpi + 40
                if pixels > engine.PIXELS:
                    raise TooLarge(
                        f"save: a PNG of this diagram would be {pixels:,.0f} pixels wide or high, "
                        f"over {engine.PIXELS:,}; show fewer steps, or write .svg or .html"
                    )
            placed = dot.write(self.picture)
            placed.graph_attr["dpi"] = str(dpi)
            return engine.paint(placed.source, form, seconds)
        except TooLarge:
            raise
        except RenderError as error:
            beside = target.with_suffix(".gv")
            write_whole(beside, self.source.encode())
            raise RenderError(f"save: {error}. The DOT file is {beside}") from None

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg, "text/plain": self.summary()}
        except RenderError as error:  # words rather than a traceback
            return {"text/plain": f"{self.summary()}\n{error}"}

    def __repr__(self) -> str:
        return f"<Diagram: {self.summary().splitlines()[0]}>"


class TooLarge(RenderError):
    """A PNG that no engine paints."""


class GradientDiagram(Diagram):
    """A diagram with the figures behind it; `.save("bptt.gif")` or `.webp` makes it a film.

    >>> w = tg.tensor([2.0], requires_grad=True, name="w")
    >>> tg.viz.gradient_flow((w * w).sum()).table().totals["w"]
    4.0
    """

    forms = (*FORMS, ".gif", ".webp")

    def __init__(self, *args: Any, table: Any, film: Callable[[str, float, int], bytes] | None):
        super().__init__(*args)
        self._table, self._film = table, film

    def _content(self, target: Path, form: str, seconds: float, dpi: int) -> bytes:
        if form not in ("gif", "webp"):
            return super()._content(target, form, seconds, dpi)
        if self._film is None:
            raise RenderError(
                "save: a film goes through the graph, which a recorded flow no longer has; save "
                "viz.gradient_flow(loss) before loss.backward()"
            )
        return self._film(form, seconds, dpi)

    def table(self) -> Any:
        """The figures as arrays: `edges`, `states`, `parameters`, `rates`, `totals`."""
        return self._table


def _svg(picture: Picture) -> str:
    """The engine's SVG without its prologue, fitting into what it stands in."""
    svg = engine.paint(dot.write(picture).source, "svg").decode()
    whole = svg[svg.index("<svg") :]
    return re.sub("<svg ", '<svg style="max-width:100%;height:auto" role="img" ', whole, count=1)


def save(target: Path, forms: Sequence[str], content: Callable[[str], bytes]) -> Path:
    """Write what `content` makes of the form that the suffix tells."""
    form = target.suffix.lower()
    if form not in forms:
        raise RenderError(f"save: the suffix of {target.name!r} must be one of {', '.join(forms)}")
    write_whole(target, content(form[1:]))
    return target


def write_whole(path: Path, content: bytes) -> None:
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
