"""A diagram as a page in one file: it asks nothing of the network and needs no engine."""

from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from . import svg
from .picture import Picture

if TYPE_CHECKING:
    from .diagram import Diagram


def write(diagram: "Diagram") -> str:
    """The page: both views where there are two, and the script that moves them."""
    here = files(__package__)
    views = [("gradient" if diagram.forward else "forward", diagram.picture)]
    if diagram.forward:
        views.append(("forward", _plain(diagram.forward)))
    figures = "\n".join(
        f'<section id="{name}"{" hidden" if k else ""}>'
        f"{_unique(svg.write(picture), name)}</section>"
        for k, (name, picture) in enumerate(views)
    )
    title = diagram.summary().splitlines()[0]
    page = here.joinpath("page.html").read_text()
    return (
        page.replace("{{title}}", escape(title))
        .replace("{{summary}}", escape(diagram.summary()))
        .replace("{{style}}", here.joinpath("page.css").read_text())
        .replace("{{script}}", here.joinpath("page.js").read_text())
        .replace("{{figures}}", figures)
    )


def _plain(picture: Picture) -> Picture:
    """The forward view without the gradients' lines of text."""
    for b in picture.boxes:
        b.lines = [line for line in b.lines if not line.startswith("|g|")]
    return picture


def _unique(text: str, view: str) -> str:
    """Arrowheads are found by id, and two views stand on one page."""
    for head in ("normal", "diamond", "box"):
        text = text.replace(f'"{head}-', f'"{view}-{head}-').replace(
            f"#{head}-", f"#{view}-{head}-"
        )
    return text.replace(' id="n', f' id="{view}-n')
