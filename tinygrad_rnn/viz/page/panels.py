"""Heat maps on one time axis, painted by matplotlib (extra `examples`)."""

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import RenderError
from ...op import Array
from ..layout.picture import shorten

WIDTH = 9.6  # inches: 1,280 pixels at 133 dots an inch
DOTS = 133
DECADES = 12  # of a logarithmic scale at most, down from the largest
# lightness falls on both sides of white in a straight line of OKLab (Ottosson 2020)
ABOUT_ZERO = ("#00599e", "#3d80b6", "#7ca7cc", "#b9cee1", "#f5f5f5",
              "#e4c2bc", "#cf8f84", "#b75c4e", "#9b1f14")  # fmt: skip
_NOTHING, _ZERO, _BAD = "#ffffff", "#d9d9d9", "#d100a0"  # absent, exactly 0, not finite


class Panel(NamedTuple):
    """One heat map: rows by steps."""

    title: str
    rows: str  # what the vertical axis counts
    bar: str  # what the colour bar measures
    cells: Array  # (rows, steps); NaN where there is nothing
    steps: Array
    scale: str  # "value": linear about 0; "log": norms and absolute values
    labels: Array | None = None  # numbers of the rows, where they are not 0, 1, ...


def figure(panels: Sequence[Panel], title: str = "") -> Any:
    """The panels one under the other, their time axes aligned, each with its colour bar.

    Raises RenderError where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise RenderError(
            "heat maps need matplotlib: pip install 'tinygrad_rnn[examples]'; the numbers are in "
            ".arrays"
        ) from None
    heights = [min(max(0.13 * len(p.cells), 1.0), 2.6) for p in panels]
    size = (WIDTH, sum(heights) + 0.55 * len(panels) + 0.5)
    fig = Figure(figsize=size, dpi=DOTS, layout="constrained")
    axes = fig.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for panel, ax in zip(panels, axes, strict=True):
        image = _paint(ax, panel)
        below = panel.scale == "log" and image.norm.vmin > np.ma.min(image.get_array())
        bar = fig.colorbar(
            image, ax=ax, pad=0.01, fraction=0.05, aspect=12, extend="min" if below else "neither"
        )
        bar.set_label(panel.bar, fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.outline.set_linewidth(0.5)
    axes[-1].set_xlabel("step t", fontsize=10)
    if title:
        fig.suptitle(title, fontsize=11, x=0.01, ha="left")
    return fig


def _paint(ax: Any, panel: Panel) -> Any:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
    from matplotlib.ticker import MaxNLocator

    cells, steps = np.asarray(panel.cells, np.float64), panel.steps
    finite = np.abs(cells[np.isfinite(cells)])
    largest = float(finite.max(initial=0.0)) or 1.0
    if panel.scale == "value":
        norm: Any = Normalize(-largest, largest)
        shown = np.ma.masked_invalid(cells)
        colours: Any = LinearSegmentedColormap.from_list("about zero", ABOUT_ZERO)
    else:
        least = max(float(finite[finite > 0].min(initial=largest)), largest * 10.0**-DECADES)
        least = min(least, largest / 10)
        norm, colours = LogNorm(least, largest), "viridis"
        shown = np.ma.masked_where(~np.isfinite(cells) | (cells == 0), np.abs(cells))
    edges = (steps[0] - 0.5, steps[-1] + 0.5, -0.5, len(cells) - 0.5)
    how = {"aspect": "auto", "origin": "lower", "interpolation": "nearest", "extent": edges}
    if panel.scale == "log":
        _paint_fates(ax, cells, how)
    image = ax.imshow(shown, norm=norm, cmap=colours, **how)
    ax.set_title(shorten(panel.title, 90), fontsize=10, loc="left", pad=3)
    ax.set_ylabel(panel.rows, fontsize=9)
    ax.tick_params(labelsize=8, length=2.5, width=0.5)
    for spine in ax.spines.values():
        spine.set_linewidth(0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5, min_n_ticks=1))
    if panel.labels is not None:
        labels = panel.labels
        ax.yaxis.set_major_formatter(
            lambda k, _: str(labels[int(k)]) if 0 <= k < len(labels) and k == int(k) else ""
        )
    return image


def _paint_fates(ax: Any, cells: Array, how: dict[str, Any]) -> None:
    """Below the colours what has none: no path white, exactly 0 grey, not finite magenta."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    fates = np.select([np.isinf(cells), cells == 0, np.isnan(cells)], [2, 1, 0], -1)
    kinds = [(0, _NOTHING, "no path"), (1, _ZERO, "exactly 0"), (2, _BAD, "not finite")]
    found = [(colour, words) for fate, colour, words in kinds if (fates == fate).any()]
    if not found:
        return
    colours = ListedColormap([colour for _, colour, _ in kinds])
    ax.imshow(np.maximum(fates, 0), cmap=colours, vmin=0, vmax=2, **how)
    ax.legend(
        handles=[Patch(fc=colour, ec="#555555", lw=0.5, label=words) for colour, words in found],
        fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=3, frameon=False,
        borderaxespad=0.1, handlelength=1.2, columnspacing=1.0,
    )  # fmt: skip


def symbol(name: str, gradient_of: str = "") -> str:
    """A name at step t as mathematics, or the size of a gradient by it.

    >>> symbol("h")
    '$h_t$'
    """
    plain = _plain(name)
    letter = f"{name}_t" if len(name) == 1 and name == plain else f"\\mathrm{{{plain}}}_t"
    return f"$|\\partial {gradient_of}/\\partial {letter}|$" if gradient_of else f"${letter}$"


def _plain(name: str) -> str:
    """A name of which mathematics reads nothing but letters and numbers; "value" if it has none."""
    words = "".join(c if c.isalnum() else " " for c in name[:40]).split()
    return "\\ ".join(words) or "value"


def written(fig: Any, form: str) -> bytes:
    """A figure as "svg", "png" or "pdf"; the same figures give the same bytes."""
    import matplotlib

    out = io.BytesIO()
    undated: dict[str, Any] = {"Date": None} if form == "svg" else {}
    undated |= {"CreationDate": None} if form == "pdf" else {}
    with matplotlib.rc_context({"svg.hashsalt": "tinygrad_rnn", "svg.fonttype": "none"}):
        fig.savefig(out, format=form, metadata=undated, dpi=DOTS)
    return out.getvalue()
