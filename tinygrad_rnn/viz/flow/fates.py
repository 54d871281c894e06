"""What became of a gradient, and how that is drawn: six fates, told apart by more than colour."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from ...kernels.measure import Measured
from .flow import Flow

VANISHED, EXPLODING = 1e-6, 1e3  # times the norm at the last step
# strong to weak, dark to light and blue to green: read in grey as well as in colour
RAMP = ("#7fc8a9", "#4fb3a5", "#2f97a3", "#2b779b", "#31568f", "#3a3579", "#3b1456")
RED, BAD, NONE = "#c8102e", "#d100a0", "#c8c8c8"
FATES = {
    "flows": "",
    "vanished": "small against the last step, not zero",
    "zero": "a path, but exactly 0: underflow, or a unit that does not pass it on",
    "exploding": "large against the last step",
    "not finite": "NaN or infinite",
    "absent": "no path from the loss",
}


class Look(NamedTuple):
    """How a norm is drawn."""

    colour: str
    pen: float
    dash: str
    head: str
    fate: str


class Scale:
    """Norms against the one that the gradient starts from at the last step.

    The ramp spans the norms that occur between vanished and exploding, so that a healthy
    net shows its differences too: `low` and `high` are its ends.
    """

    def __init__(self, reference: float, norms: Iterable[float] = ()):
        self.reference = reference if reference > 0 and math.isfinite(reference) else 1.0
        least, most = VANISHED * self.reference, EXPLODING * self.reference
        inside = [n for n in norms if least <= n <= most] or [self.reference]
        low, high = min(inside), max(inside)
        if high < 2 * low:  # all alike: a factor of two about them, not the noise blown up
            middle = math.sqrt(low * high)
            low, high = middle / math.sqrt(2), middle * math.sqrt(2)
        self.low, self.high = low, high

    def fate(self, m: Measured | None) -> str:
        """One key of FATES."""
        if m is None:
            return "absent"
        if m.bad or math.isnan(m.norm):
            return "not finite"
        if m.largest == 0:
            return "zero"
        if m.norm < VANISHED * self.reference:
            return "vanished"
        return "exploding" if m.norm > EXPLODING * self.reference else "flows"

    def look(self, m: Measured | None) -> Look:
        """Colour, width and shape: each fate differs in more than colour."""
        fate = self.fate(m)
        if m is not None and fate == "flows":
            part = math.log(m.norm / self.low) / math.log(self.high / self.low)
            part = min(max(part, 0.0), 1.0)
            colour = RAMP[min(int(part * len(RAMP)), len(RAMP) - 1)]
            return Look(colour, round(0.8 + 3.4 * part, 2), "", "normal", fate)
        return {
            "absent": Look(NONE, 0.8, "dotted", "none", fate),
            "zero": Look(RED, 0.8, "dashed", "box", fate),
            "vanished": Look(RED, 0.7, "dashed", "normal", fate),
            "exploding": Look(RED, 5.0, "", "diamond", fate),
            "not finite": Look(BAD, 2.5, "dotted", "box", fate),
        }[fate]

    def legend(self) -> list[tuple[Look, str]]:
        """A sample of the ramp in five places, with absolute norms, and one of each other fate."""
        found = []
        for k in range(5):
            norm = self.low * (self.high / self.low) ** (k / 4)
            found.append((self.look(Measured(norm, norm, 0, 0)), f"{norm:.2g}"))
        for factor, words in ((VANISHED, "vanished: below"), (EXPLODING, "exploding: above")):
            norm = self.reference * factor
            beyond = norm * (0.1 if factor < 1 else 10)
            look = self.look(Measured(beyond, beyond, 0, 0))
            found.append((look, f"{words} {norm:.2g}"))
        found += [
            (self.look(Measured(0, 0, 1, 0)), "exactly 0"),
            (self.look(Measured(math.nan, math.nan, 0, 1)), "NaN or infinite"),
            (self.look(None), "absent: no path"),
        ]
        return found


def scale_of(flow: Flow) -> Scale:
    """The scale of a flow: largest total among the states of the last step, or of all vertices."""
    graph = flow.graph

    def usable(found: list[Measured | None]) -> list[float]:
        norms = [m.norm for m in found if m is not None]
        return [norm for norm in norms if norm > 0 and math.isfinite(norm)]

    latest = []
    for members in graph.states.values():
        latest += usable([flow.total_of(v) for _, v in reversed(members)])[:1]
    if not latest:
        latest = usable([flow.total_of(v) for v in graph.vertices])
    return Scale(max(latest, default=1.0), usable([flow.of_edge(e) for e in graph.edges]))
