"""Cross entropy of probabilities, elementwise, with a gradient that stays finite at 0 and 1."""

from ..op import pointwise
from .logic import where
from .pointwise import maximum
from .powers import log, log1p


@pointwise(floats=True)
def bernoulli_nll(x, t):
    """y = -t log x - (1 - t) log(1 - x) elementwise, no logarithm below -100."""
    yes = maximum(where(x == 0, -100, log(where(x == 0, 1, x))), -100)
    no = maximum(where(x == 1, -100, log1p(-where(x == 1, 0, x))), -100)
    return (t - 1) * no - t * yes


@bernoulli_nll.vjp
def bernoulli_nll_vjp_x(g, x, t):
    return g * ((x - t) / maximum(x * (1 - x), 1e-12))


@bernoulli_nll.vjp
def bernoulli_nll_vjp_t(g, x):
    yes = maximum(where(x == 0, -100, log(where(x == 0, 1, x))), -100)
    no = maximum(where(x == 1, -100, log1p(-where(x == 1, 0, x))), -100)
    return g * (no - yes)
