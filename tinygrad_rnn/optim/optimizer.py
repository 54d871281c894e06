"""What all optimisers are: parameters in groups, each with options of its own, and a state."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import CaptureError, GraphError, ShapeError
from ..op import Array, local
from ..tensors import Tensor
from .options import EXTRA, Group, Option, at_least_0, options

# how PyTorch runs an update, or what its schedules note in a group: no matter here
FOREIGN = {
    "foreach", "fused", "capturable", "differentiable",
    "max_lr", "min_lr", "max_momentum", "base_momentum",
}  # fmt: skip
Params = Iterable[Tensor] | Iterable[Mapping[str, Any]]


class Optimizer(ABC):
    """Base: parameters in groups, a learning rate, a state dict in PyTorch's layout.

    `params` are tensors, or dicts such as `{"params": head.parameters(), "lr": 1e-2}`,
    whose options take the place of the arguments. Every option can be read and set,
    for all as `optimizer.lr = 1e-3`, for one group as `param_groups[0]["lr"] = 1e-3`.

    >>> body, head = tg.nn.Linear(3, 4), tg.nn.Linear(4, 1)
    >>> groups = [{"params": body.parameters()}, {"params": head.parameters(), "lr": 0.1}]
    >>> optimizer = tg.optim.Adam(groups, lr=1e-3, weight_decay=0.01)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.001, 0.1]
    >>> optimizer.lr = 0.01
    """

    lr = Option(at_least_0)

    def __init__(self, params: Params, **defaults: Any):
        self.param_groups: list[Group] = []
        self.defaults = dict(Group(type(self), (), defaults))  # checked here, groups or not
        del self.defaults["params"]
        for group in self._as_groups(params):
            self.add_param_group(group)

    def __repr__(self) -> str:
        groups = [f"{len(g['params'])} at lr {g['lr']:.4g}" for g in self.param_groups]
        return f"{type(self).__name__}(parameters: {', '.join(groups)})"

    @property
    def params(self) -> list[Tensor]:
        """The parameters of all groups."""
        return [p for group in self.param_groups for p in group.data["params"]]

    def _as_groups(self, params: Params) -> list[Mapping[str, Any]]:
        name = type(self).__name__
        given = _listed(name, params)
        if not given:
            raise GraphError(f"{name}: got no parameters")
        return given if isinstance(given[0], Mapping) else [{"params": given}]

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Take in more parameters, as of a layer that is trained from now on.

        Options that the dict does not name are the optimiser's. Raises GraphError for a
        tensor that is no float leaf or that is in the optimiser already.
        """
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise GraphError(f"{name}: a group is a dict with 'params', got {group!r:.80}")
        given = group["params"]
        params = leaves(name, (given,) if isinstance(given, Tensor) else given, self.params)
        own = {k: v for k, v in group.items() if k != "params"}
        new = Group(type(self), params, self.defaults | own)
        self._begin(new)
        self.param_groups.append(new)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for p in group.data["params"]:
                p.grad = None

    @abstractmethod
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; returns the closure's loss, if given."""

    # the state ----------------------------------------------------------------------

    @abstractmethod
    def _begin(self, group: Group) -> None:
        """Check a new group's options together, and make what is kept for its parameters."""

    @abstractmethod
    def _states(self, group: Group) -> list[dict[str, Any]]:
        """What is kept for each parameter, as copies."""

    @abstractmethod
    def _read(self, group: Group, states: list[Mapping[str, Any]]) -> Any:
        """What `_take` sets, from states as `_states` gives; ValueError if they do not fit.

        `group` has the options of the state, and the parameters of this optimiser.
        """

    @abstractmethod
    def _take(self, group: Group, found: Any) -> None:
        """Set what is kept."""

    def state_dict(self) -> dict[str, Any]:
        """Everything `load_state_dict` needs to go on bit for bit: options and moments.

        In PyTorch's layout and names: "state" by the number of the parameter, and
        "param_groups" with the options, "params" being numbers.
        """
        state: dict[int, dict[str, Any]] = {}
        groups = []
        for group in self.param_groups:
            numbers = list(range(len(state), len(state) + len(group["params"])))
            state.update(zip(numbers, self._states(group), strict=True))
            groups.append({**group, "params": numbers})
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state and its options, of this class or PyTorch's optimiser of that name.

        Raises ShapeError, before anything is written, if it does not fit.
        """
        try:
            jobs = self._fit(state)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ShapeError(
                f"{type(self).__name__}.load_state_dict: nothing was loaded; {error}"
            ) from None
        for group, new, found in jobs:
            group.data.update(new.data)
            self._take(group, found)

    def _fit(self, state: Mapping[str, Any]) -> list[tuple[Group, Group, Any]]:
        """For each group one with the state's options, and what is kept."""
        lost = [key for key in ("state", "param_groups") if key not in state]
        if lost:
            raise ValueError(f"missing: {', '.join(lost)}")
        theirs, own = list(state["param_groups"]), self.param_groups
        sizes = [len(g["params"]) for g in theirs], [len(g["params"]) for g in own]
        if sizes[0] != sizes[1]:
            raise ValueError(f"there are groups of {sizes[1]} parameters here, of {sizes[0]} there")
        kept = {int(number): entry for number, entry in state["state"].items()}
        unknown = set(kept) - {int(k) for g in theirs for k in g["params"]}
        if unknown:
            raise ValueError(f"the state of parameters {sorted(unknown)} is of no group")
        jobs = []
        for group, given in zip(own, theirs, strict=True):
            values = {k: v for k, v in given.items() if k != "params" and k not in FOREIGN}
            lost = sorted(set(options(type(self))) - set(values))
            found = sorted(set(values) - set(options(type(self))) - set(EXTRA))
            if lost or found:
                raise ValueError(
                    f"missing options: {', '.join(lost) or 'none'}; unexpected: "
                    f"{', '.join(found) or 'none'}"
                )
            new = Group(type(self), group["params"], values)
            states = [kept.get(int(number), {}) for number in given["params"]]
            jobs.append((group, new, self._read(new, states)))
        return jobs


def _listed(name: str, params: Any) -> list[Any]:
    if isinstance(params, Tensor | Mapping | str) or not isinstance(params, Iterable):
        raise GraphError(
            f"{name}: parameters come in a list, as of tensors or of dicts with 'params', "
            f"got {type(params).__name__}"
        )
    return list(params)


def leaves(name: str, params: Any, others: Sequence[Tensor] = ()) -> tuple[Tensor, ...]:
    """Parameters that may be written to: float leaves, none twice or among the others."""
    given = tuple(_listed(name, params))
    for p in given:
        if not isinstance(p, Tensor) or p.node is not None or p.dtype.kind != "f":
            raise GraphError(
                f"{name}: parameters must be float leaf tensors, as model.parameters() gives, got "
                f"{p!r:.80}"
            )
    together = [id(p) for p in (*others, *given)]
    if len(set(together)) != len(together):
        raise GraphError(f"{name}: a parameter is listed twice and would be updated twice")
    return given


def not_recorded(owner: object, method: str) -> None:
    """Refuse what writes to parameters while a function is recorded."""
    if local.now.recorder is not None:
        raise CaptureError(
            f"tg.jit: {type(owner).__name__}.{method}() inside the jitted function, where it would "
            "run once, when that is recorded; jit the loss, and update outside"
        )


def as_array(value: object) -> Array:
    """The numbers of an array, a Tensor or a PyTorch tensor."""
    if isinstance(value, Tensor):
        return value.numpy()
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{array.dtype} values are no numbers")
    return array
