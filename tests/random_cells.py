"""Random recurrent cells: states, ops, weights, skips and losses drawn from a seed.

python tests/random_cells.py 0 200       # check these seeds, in the mode Numba is in
"""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.testing import check_jit

UNARY = ("tanh", "sigmoid", "relu", "softplus", "sin", "silu", "gelu", "abs", "square")
BINARY = ("add", "sub", "mul", "maximum")


class Cell(NamedTuple):
    """A function to jit, its arguments and the parameters it closes over."""

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    parameters: list[Any]


def random_cell(seed: int, T: int, B: int, dtype: str = "float64") -> Cell:
    """A contractive cell of 1 to 3 states with random expressions, weights and loss.

    Eight seeds in sixteen go over a Python list of inputs, the others over one array.
    """
    rng = np.random.default_rng(seed)
    H, I, n = int(rng.integers(2, 6)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    params: list[Any] = []

    def parameter(*shape: int) -> int:
        values = rng.uniform(-1, 1, shape) / np.sqrt(shape[0])
        params.append(tg.tensor(values.astype(dtype), requires_grad=True))
        return len(params) - 1

    shared = [parameter(H, H), parameter(I, H)]
    recipes = []
    for _ in range(n):
        recipe: list[tuple[Any, ...]] = []
        for _ in range(int(rng.integers(2, 5))):
            kind = rng.choice(["state", "input", "both", "own"])
            delay = int(rng.choice([1, 1, 1, 2, 3]))
            state = int(rng.integers(n))
            if kind == "state":
                recipe.append(("product", state, delay, shared[0] if rng.random() < 0.5 else
                               parameter(H, H)))  # fmt: skip
            elif kind == "input":
                recipe.append(("input", shared[1] if rng.random() < 0.5 else parameter(I, H)))
            elif kind == "both":
                recipe.append(("concat", state, delay, parameter(I + H, H)))
            else:
                recipe.append(("scaled", state, delay, parameter(H)))
            recipe.append(("unary", str(rng.choice(UNARY)), float(rng.uniform(0.3, 0.9))))
            recipe.append(("binary", str(rng.choice(BINARY))))
        recipes.append(recipe)
    starts = [
        tg.tensor(rng.uniform(-1, 1, (B, H)).astype(dtype), requires_grad=True) for _ in range(n)
    ]
    loss = str(rng.choice(["each", "last", "stacked"]))
    reverse = bool(rng.random() < 0.2)
    values = rng.standard_normal((T, B, I)).astype(dtype)
    x: Any = tg.tensor(values, requires_grad=True)
    if seed // 8 % 2:
        x = [tg.tensor(v, requires_grad=True) for v in values]

    def step(x_t: Any, history: list[list[Any]]) -> list[Any]:
        new = []
        for k, recipe in enumerate(recipes):
            value = total = history[k][-1]
            for part in recipe:
                if part[0] == "product":
                    value = history[part[1]][-part[2]] @ params[part[3]]
                elif part[0] == "input":
                    value = x_t @ params[part[1]]
                elif part[0] == "concat":
                    h = history[part[1]][-part[2]]
                    value = tg.concat([x_t, h], axis=1) @ params[part[3]]
                elif part[0] == "scaled":
                    value = history[part[1]][-part[2]] * params[part[3]]
                elif part[0] == "unary":
                    value = getattr(tg, part[1])(value) * part[2]
                else:
                    total = getattr(tg, part[1])(total * 0.5 + 0.3, value)
            new.append(tg.tanh(total) * 0.6)
        return new

    def run(x: Any) -> Any:
        history = [[start] * 3 for start in starts]
        total: Any = 0.0
        for x_t in reversed(x) if reverse else x:
            for states, h in zip(history, step(x_t, history), strict=True):
                states.append(h)
            if loss == "each":
                total = total + tg.square(history[0][-1]).sum()
        if loss == "stacked":
            return tg.stack(history[-1][3:]), history[0][-1]
        return (total, history[-1][-1]) if loss == "each" else tg.square(history[0][-1]).mean()

    return Cell(run, (x,), params + starts)


def check(seed: int) -> bool:
    """One random cell of one of five lengths, in float64; whether it computes more than zeros."""
    T, B = (1, 2, 3, 9)[seed % 4] if seed % 8 < 4 else 6, 1 + seed % 3
    cell = random_cell(seed, T, B)
    result = cell.fn(*cell.args)
    value = result[0] if isinstance(result, tuple) else result
    fast = tg.jit(cell.fn)
    try:
        check_jit(fast, *cell.args, parameters=cell.parameters)
    except Exception as error:
        raise AssertionError(f"random cell {seed}: {error}") from error
    # the first three steps read the starts in place of earlier states
    assert T < 6 or "loop of" in fast.explain(), f"random cell {seed}: no loop was found"
    return float(tg.norm(value)) > 1e-4


if __name__ == "__main__":
    first, last = map(int, sys.argv[1:])
    alive = sum(check(number) for number in range(first, last))
    assert alive >= 0.95 * (last - first), f"only {alive} cells compute something"
    print(f"{last - first} random cells agree with eager execution")
