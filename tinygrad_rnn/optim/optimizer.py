"""Optimisers: one compiled call updates every parameter."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .._tensor import Tensor
from ..errors import DTypeError, GraphError, ShapeError
from ..kernels import update
from ..op import Array


def check_positive(name: str, **numbers: float) -> None:
    """Raise unless each number is finite and not negative."""
    for key, value in numbers.items():
        if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
            raise ValueError(f"{name}: {key} must be a finite number from 0, got {value!r}")


class Optimizer:
    """Base: parameters, their moments, a learning rate, a state dict.

    `lr` is `base_lr` times the factors of all schedulers, so that they combine.
    """

    slots: tuple[str, ...] = ()  # names of the moments kept for each parameter
    rule: Any  # the update of `kernels.update`

    def __init__(self, params: Iterable[Tensor], lr: float, weight_decay: float = 0.0):
        name = type(self).__name__
        check_positive(name, lr=lr, weight_decay=weight_decay)
        self.params = list(params)
        if not self.params:
            raise GraphError(f"{name}: got no parameters")
        for p in self.params:
            if not isinstance(p, Tensor) or p.node is not None or p.dtype.kind != "f":
                raise GraphError(f"{name}: parameters must be float leaf tensors, got {p!r:.80}")
        if len({id(p) for p in self.params}) != len(self.params):
            raise GraphError(f"{name}: a parameter is listed twice and would be updated twice")
        self.base_lr, self.weight_decay = float(lr), float(weight_decay)
        self.factors: dict[str, float] = {}  # by scheduler
        self.steps = [0] * len(self.params)  # how often each was updated
        self._update = update.Update(self.rule)
        self.moments = {s: [np.zeros_like(p._array) for p in self.params] for s in self.slots}

    @property
    def lr(self) -> float:
        """Learning rate now."""
        return self.base_lr * math.prod(self.factors.values())

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for p in self.params:
            p.grad = None

    def numbers(self, steps: int) -> list[float]:
        """What the rule needs besides the arrays, in a parameter's update of this number."""
        raise NotImplementedError

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        Raises ShapeError or DTypeError, before anything is written, for a gradient
        that does not fit its parameter, ValueError for a parameter that is read-only.
        """
        used = [p for p in self.params if p.grad is not None]
        if not used:
            return
        m, v = self.moments.get("m"), self.moments.get("v")
        steps = counts = [n + 1 for n in self.steps]
        if len(used) < len(self.params):
            m, v, counts = self._of_used(m), self._of_used(v), self._of_used(steps)
            pairs = zip(steps, self.params, strict=True)
            steps = [n if p.grad is not None else n - 1 for n, p in pairs]
        alike = counts.count(counts[0]) == len(counts)
        numbers = [self.numbers(n) for n in (counts[:1] if alike else counts)]
        # one call that looks at the arrays itself: 12 parameters cost as much Python as a
        # short LSTM's whole forward
        arrays = [p._array for p in used]
        grads = [g._array for p in used if isinstance(g := p.grad, Tensor)]
        if len(grads) < len(used) or not self._update(arrays, grads, m, v, numbers):
            self._one_by_one(used, m, v, numbers)
        self.steps = steps
        for p in used:
            p.bump_version()

    def _of_used(self, kept: Any) -> Any:
        """What is kept for those parameters that have a gradient."""
        if kept is None:
            return None
        return [a for a, p in zip(kept, self.params, strict=True) if p.grad is not None]

    def _one_by_one(
        self,
        used: list[Tensor],
        m: list[Array] | None,
        v: list[Array] | None,
        numbers: list[list[float]],
    ) -> None:
        """Say what is wrong with a gradient, or update arrays of any dtype and order."""
        fitting = [_fitting(self, p) for p in used]
        for k, (p, g) in enumerate(zip(used, fitting, strict=True)):
            written = [p._array, *[s[k] for s in (m, v) if s]]
            new = [np.array(a, order="C") for a in written]
            moments = iter(new[1:])
            m_k, v_k = ([next(moments)] if s else None for s in (m, v))
            own = numbers[min(k, len(numbers) - 1)]
            done = self._update([new[0]], [np.array(g, order="C")], m_k, v_k, [own])
            assert done, "arrays made here fit"
            for a, b in zip(written, new, strict=True):
                a[...] = b

    def state_dict(self) -> dict[str, Any]:
        """Everything `load_state_dict` needs to go on bit for bit."""
        arrays = {f"{s}.{k}": a.copy() for s in self.slots for k, a in enumerate(self.moments[s])}
        return {
            "steps": list(self.steps),
            "base_lr": self.base_lr,
            "factors": dict(self.factors),
            "moments": arrays,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; raises ShapeError, before anything is written, if it does not fit."""
        name = type(self).__name__
        own = {f"{s}.{k}": a for s in self.slots for k, a in enumerate(self.moments[s])}
        missing = [k for k in ("steps", "base_lr", "factors", "moments") if k not in state]
        if missing:
            raise ShapeError(f"{name}.load_state_dict: missing {', '.join(missing)}")
        given = {k: np.asarray(v) for k, v in state["moments"].items()}
        wrong = sorted(set(own) ^ set(given)) + [
            k for k in own if k in given and own[k].shape != given[k].shape
        ]
        if np.shape(state["steps"]) != (len(self.params),):
            wrong.append(f"steps (a number for each of {len(self.params)} parameters)")
        if wrong:
            raise ShapeError(
                f"{name}.load_state_dict: nothing was loaded; missing, unexpected or of another "
                f"shape: {', '.join(wrong[:10])}"
            )
        for k, a in own.items():
            a[...] = given[k]
        self.steps, self.base_lr = [int(n) for n in state["steps"]], float(state["base_lr"])
        self.factors = dict(state["factors"])


def _fitting(optimizer: Optimizer, p: Tensor) -> Array:
    """The gradient's array, if it fits its parameter and that can be written to."""
    name, label, g = type(optimizer).__name__, p.name or "a parameter", p.grad
    if not isinstance(g, Tensor) or g._array.shape != p._array.shape:
        came = g.shape if isinstance(g, Tensor) else type(g).__name__
        raise ShapeError(f"{name}: the gradient of {label} must be {p.shape}, got {came}")
    if not p._array.flags.writeable:
        raise ValueError(f"{name}: the array of {label} is read-only; make the tensor from a copy")
    array = g._array
    if array.dtype is not p._array.dtype and g.dtype != p.dtype:
        raise DTypeError(f"{name}: {label} is {p.dtype}, its gradient {g.dtype}")
    return array


class SGD(Optimizer):
    """p = p - lr m with m = mu m + g, g including weight_decay p; Nesterov's form if asked.

    PyTorch's definition (Sutskever et al., ICML 2013, differ in where lr stands).

    >>> import tinygrad_rnn as tg
    >>> w = tg.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> SGD([w], lr=0.25).step()
    >>> w.tolist()
    [0.5]
    """

    slots, rule = ("m",), staticmethod(update.sgd)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ):
        check_positive("SGD", momentum=momentum)
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        super().__init__(params, lr, weight_decay)
        self.momentum, self.nesterov = momentum, nesterov

    def numbers(self, steps: int) -> list[float]:
        n = float(self.nesterov)
        return [self.lr, self.weight_decay, self.momentum, n, 1 - n]


class RMSprop(Optimizer):
    """v = alpha v + (1 - alpha) g^2; p = p - lr g / (sqrt v + eps): Hinton's lecture 6e (2012)."""

    slots, rule = ("v",), staticmethod(update.rmsprop)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        check_positive("RMSprop", alpha=alpha, eps=eps)
        super().__init__(params, lr, weight_decay)
        self.alpha, self.eps = alpha, eps

    def numbers(self, steps: int) -> list[float]:
        return [self.lr, self.weight_decay, self.alpha, 1 - self.alpha, self.eps]


class Adagrad(Optimizer):
    """v = v + g^2; p = p - lr g / (sqrt v + eps): Duchi, Hazan and Singer, JMLR 12 (2011)."""

    slots, rule = ("v",), staticmethod(update.adagrad)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
    ):
        check_positive("Adagrad", eps=eps)
        super().__init__(params, lr, weight_decay)
        self.eps = eps

    def numbers(self, steps: int) -> list[float]:
        return [self.lr, self.weight_decay, self.eps]


class Adam(Optimizer):
    """m, v = running means of g, g^2, freed of bias; p = p - lr m / (sqrt v + eps).

    Kingma and Ba, ICLR 2015; weight_decay is added to the gradient. The bias is that of each
    parameter's own number of updates, as in PyTorch.
    """

    slots, rule = ("m", "v"), staticmethod(update.adam)

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        name = type(self).__name__
        if not all(0 <= b < 1 for b in betas):
            raise ValueError(f"{name}: betas must be in [0, 1), got {betas}")
        check_positive(name, eps=eps)
        super().__init__(params, lr, weight_decay)
        self.betas, self.eps = betas, eps

    def _decays(self) -> tuple[float, float]:
        """What is added to the gradient, and what the parameter is multiplied by."""
        return self.weight_decay, 1.0

    def numbers(self, steps: int) -> list[float]:
        a, b = self.betas
        decay, keep = self._decays()
        step = self.lr / (1 - a**steps)
        root = 1 / math.sqrt(1 - b**steps)
        return [step, decay, keep, a, 1 - a, b, 1 - b, root, self.eps]


class AdamW(Adam):
    """Adam with the decay taken off the parameter itself: Loshchilov and Hutter, ICLR 2019."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, lr, betas, eps, weight_decay)

    def _decays(self) -> tuple[float, float]:
        return 0.0, 1 - self.lr * self.weight_decay
