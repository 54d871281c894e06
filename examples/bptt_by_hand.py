"""Backpropagation through time by hand, path by path, beside what the tape computes.

The textbook network, states S, inputs X, outputs Y, weights Ws, Wx, Wy:

    S_t = tanh(Wx X_t + Ws S_{t-1}),   Y_t = Wy S_t,   E_t = (d_t - Y_t)^2

The error at t = 3 reaches Ws along three paths, S_3, S_3 -> S_2, S_3 -> S_2 -> S_1, since
the same weight acts at every step:

    dE_3/dWs = dE_3/dY_3 dY_3/dS_3 ( dS_3/dWs + dS_3/dS_2 dS_2/dWs
                                     + dS_3/dS_2 dS_2/dS_1 dS_1/dWs )

and likewise dE_3/dWx; dE_3/dWy has one path only. Then the same with an error at
every t. All sums are derived here with NumPy alone, and must equal the gradients
that `backward()` finds on the unrolled graph to 1e-12.

    python examples/bptt_by_hand.py
"""

import sys
from typing import Any

import numpy as np

import tinygrad_rnn as tg

T, NX, NS, NY = 3, 2, 3, 1
Grads = dict[str, np.ndarray]


def numbers() -> dict[str, np.ndarray]:
    """Weights, inputs (T, NX), desired outputs (T, NY) and the first state, float64."""
    g = tg.Generator(7)
    shapes = {"Wx": (NS, NX), "Ws": (NS, NS), "Wy": (NY, NS)}
    shapes |= {"X": (T, NX), "d": (T, NY), "S_0": (NS,)}
    return {name: g.normal(shape, np.float64) * 0.8 for name, shape in shapes.items()}


def states(v: dict[str, np.ndarray]) -> list[np.ndarray]:
    """S_0, S_1 .. S_T."""
    S = [v["S_0"]]
    for t in range(T):
        S.append(np.tanh(v["Wx"] @ v["X"][t] + v["Ws"] @ S[-1]))
    return S


def paths(v: dict[str, np.ndarray], t: int) -> list[tuple[str, Grads]]:
    """Every path of the error E_t (t from 1) back to the weights, and what it carries."""
    S = states(v)
    dY = -2 * (v["d"][t - 1] - v["Wy"] @ S[t])  # dE_t/dY_t
    found = [(f"E_{t} -> Y_{t}", {"Wy": np.outer(dY, S[t])})]
    dS = v["Wy"].T @ dY  # dE_t/dS_k, here for k = t
    route = f"E_{t} -> Y_{t} -> S_{t}"
    for k in range(t, 0, -1):
        inner = dS * (1 - S[k] ** 2)  # through tanh: dE_t / d(Wx X_k + Ws S_{k-1})
        carried = {"Ws": np.outer(inner, S[k - 1]), "Wx": np.outer(inner, v["X"][k - 1])}
        found.append((route, carried))
        dS = v["Ws"].T @ inner  # one step further back: dS_k/dS_{k-1}
        route += f" -> S_{k - 1}"
    return found


def by_hand(v: dict[str, np.ndarray], steps: list[int]) -> Grads:
    """The sum over all errors and all their paths, printed as it grows."""
    total = {name: np.zeros_like(v[name]) for name in ("Wy", "Ws", "Wx")}
    for t in steps:
        for route, carried in paths(v, t):
            for name, part in carried.items():
                total[name] += part
                print(f"  {route:40} d{name}: {flat(part)}")
    return total


def by_tape(v: dict[str, np.ndarray], steps: list[int]) -> Grads:
    """The same network as forward code; backward() does the rest."""
    Wx, Ws, Wy = (tg.tensor(v[n], requires_grad=True, name=n) for n in ("Wx", "Ws", "Wy"))
    S, E = tg.tensor(v["S_0"]), tg.zeros(dtype=np.float64)
    for t, X_t in enumerate(tg.tensor(v["X"]), 1):
        S = tg.tanh(Wx @ X_t + Ws @ S)
        if t in steps:
            E = E + ((v["d"][t - 1] - Wy @ S) ** 2).sum()
    E.backward()
    return {w.name: w.grad.numpy() for w in (Wy, Ws, Wx)}


def flat(a: np.ndarray) -> str:
    """A matrix on one line."""
    return " ".join(f"{x:+.6f}" for x in a.reshape(-1))


def compare(title: str, steps: list[int]) -> dict[str, Any]:
    """Print both sides; returns the largest difference of each gradient."""
    print(f"\n{title}")
    v = numbers()
    hand, tape = by_hand(v, steps), by_tape(v, steps)
    differences = {}
    for name in ("Wy", "Ws", "Wx"):
        differences[name] = float(np.abs(hand[name] - tape[name]).max())
        print(f"  sum of paths{'':28} d{name}: {flat(hand[name])}")
        print(f"  tape{'':36} d{name}: {flat(tape[name])}   differ by {differences[name]:.1e}")
    return differences


def main() -> float:
    """Both experiments; returns the largest difference."""
    worst = [
        *compare("The error at t = 3", [3]).values(),
        *compare("The errors at t = 1, 2 and 3", [1, 2, 3]).values(),
    ]
    equal = max(worst) < 1e-12
    print(f"\nlargest difference {max(worst):.1e}: {'equal' if equal else 'NOT EQUAL'} to 1e-12")
    return max(worst)


if __name__ == "__main__":
    sys.exit(main() >= 1e-12)
