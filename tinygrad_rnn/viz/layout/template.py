"""Templates: what Graphviz lays out, one column of each kind, and what it made of it.

A state that comes from another column enters by a point at the left border, or at the right
where it runs against time, and fans out from there; a state that goes to another column
leaves by a point at the other border. So edges between columns never cross a node.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from .picture import Point, Shape

Row = tuple[int, int]  # the column it is in, and its number there
Frame = tuple[str, float, float, float, float]  # words, x0, y0, x1, y1


class Port(NamedTuple):
    """A point at the border: where a state leaves, or enters for the operands in `key`."""

    side: int  # -1 left, 1 right
    leaves: bool
    key: Hashable
    via: str = ""  # the state, where a box has several


class Cluster(NamedTuple):
    """What stands in one box under a heading."""

    words: str
    members: list[int]  # by place
    width: float  # of the room for the heading
    height: float


@dataclass
class Highways:
    """What is level in a column, by places in it, and what hangs below.

    `chains`: each from where a state enters to where it is new; `hanging`: edges that lead down
    from one; `above`: pairs of which the second stands above the first; `gates`: beside each
    other; `rails`: where a state enters, where it leaves at the same height, and what makes it.
    """

    chains: list[list[int]] = field(default_factory=list)
    hanging: list[tuple[int, int]] = field(default_factory=list)
    above: list[tuple[int, int]] = field(default_factory=list)
    gates: list[list[int]] = field(default_factory=list)
    rails: list[tuple[Port, Port, int]] = field(default_factory=list)


@dataclass
class Template:
    """What a column holds, by place: lines of text, shapes, rows; edges as (source, target)."""

    lines: list[list[str]]
    shapes: list[Shape]
    rows: list[Row]
    scopes: dict[Row, str]
    edges: list[tuple[int, int]]
    labels: list[str]  # of the edges
    ports: dict[Port, list[int]]  # the places each serves
    fans: dict[tuple[Port, int], str]  # what is written on a way from a port that serves several
    direction: str = "up"
    back: set[int] = field(default_factory=set)  # edges that go back in time: they rank nothing
    clusters: list[Cluster] = field(default_factory=list)
    close: bool = False  # boxes as small as their text, states right beside them
    apart: float = 0.16  # inches between boxes side by side
    ways: Highways = field(default_factory=Highways)
    order: list[list[str]] = field(default_factory=list)  # names in one rank, from left to right
    straight: dict[str, str] = field(default_factory=dict)  # points: the node each stands beside

    def names(self) -> dict[str, Port]:
        """The points at the border, as they are called in DOT."""
        return {f"p{k}": port for k, port in enumerate(self.ports)}

    def ends(self, chain: list[int]) -> list[str]:
        """The points where what runs along a chain enters it and leaves it."""
        into = [n for n, p in self.names().items() if not p.leaves and chain[0] in self.ports[p]]
        out = [n for n, p in self.names().items() if p.leaves and chain[-1] in self.ports[p]]
        return [*into[:1], *out[:1]]

    def towards(self, chain: list[int]) -> int:
        """1 for a chain that runs to the right, -1 for one against time."""
        return -self.names()[self.ends(chain)[0]].side


@dataclass
class Placed:
    """A column's geometry; y grows downwards from 0."""

    width: float
    height: float
    boxes: list[tuple[float, float, float, float]]  # centre, width, height
    edges: list[list[Point]]  # cubic Bezier points
    labels: list[Point | None]
    ports: dict[Port, Point]
    branches: dict[tuple[Port, int], list[Point]]  # between a port and a place it serves
    fans: dict[tuple[Port, int], Point]  # of what is written on branches
    frames: list[Frame]
    clusters: list[Frame]
