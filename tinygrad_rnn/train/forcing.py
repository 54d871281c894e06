"""Scheduled teacher forcing: how often a decoder is fed the true symbol, not its own choice."""

import math

from scipy.special import lambertw

from ..optim.options import checked, count

KINDS = ("linear", "exponential", "sigmoid")


def forcing_rate(update: int, half: int, kind: str = "sigmoid", least: float = 0.0) -> float:
    """Probability e_i with which a decoder is fed the true previous symbol, at update i from 0.

    The schedules of Bengio et al., NeurIPS 2015 (arXiv 1506.03099), which all begin near 1 and are
    1/2 at the update `half`: "linear" 1 - i / (2 half), "exponential" k^i, and "sigmoid", the
    inverse sigmoid k / (k + e^(i/k)) with k ln k = half. None falls below `least`. Raises
    ValueError for a kind or numbers that are none of these.

    >>> [round(forcing_rate(i, 100), 2) for i in (0, 50, 100, 200)]
    [0.97, 0.84, 0.5, 0.03]
    """
    checked("forcing_rate", {"half": count}, half=half)
    if kind not in KINDS or not 0 <= least <= 1 or update < 0:
        raise ValueError(
            f"forcing_rate: kind must be one of {KINDS}, least in [0, 1] and update 0 or more; "
            f"got {kind!r}, {least} and {update}"
        )
    if kind == "linear":
        rate = 1 - update / (2 * half)
    elif kind == "exponential":
        rate = 2 ** (-update / half)
    else:
        k = half / float(lambertw(half).real)
        rate = k / (k + math.exp(min(update / k, 700)))  # e^700 is still finite
    return max(rate, least)
