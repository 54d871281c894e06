"""Weights to and from Keras layers: lists of arrays, as its get_weights and set_weights have them.

Keras multiplies from the right, so its kernels are ours transposed. Its LSTM has our order of
gates, i f c o; its GRU has z r h for our r z n. Its LSTM and SimpleRNN have one bias, which is
the sum of our two; its GRU has both where `reset_after`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import nn
from ..errors import InterchangeError
from ..op import Array
from .gates import KERAS, back_in_order, halves, in_order, refuse

RECURRENT = {"SimpleRNN": nn.RNN, "LSTM": nn.LSTM, "GRU": nn.GRU}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "softmax": nn.Softmax,
    "gelu": nn.GELU, "silu": nn.SiLU, "softplus": nn.Softplus, "softsign": nn.Softsign,
    "elu": nn.ELU, "selu": nn.SELU,
}  # fmt: skip


def from_keras(layer: Any) -> nn.Module:
    """Make our layer out of a built Keras layer: what it computes in inference is the same.

    SimpleRNN, LSTM and GRU (both kinds of reset) become RNN, LSTM and GRU with batch_first,
    which return every step and the last state, whatever Keras returns; Bidirectional, with
    merge_mode "concat" or None, one in both directions. Dense (a Sequential of Linear and
    activation where it has one), Embedding and LayerNormalization are carried, too. Dropout
    acts in training alone and is left out. Raises InterchangeError naming layer and option
    otherwise.

    >>> [lstm] = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4)]).layers
    ... # doctest: +SKIP
    >>> from_keras(lstm).weight_hh_l0.shape  # doctest: +SKIP
    (16, 4)
    """
    if not hasattr(layer, "get_weights"):
        raise InterchangeError(f"from_keras: expected a layer of Keras, got a {type(layer)}")
    name, kind, config = layer.name, type(layer).__name__, layer.get_config()
    weights = [np.asarray(w) for w in layer.get_weights()]
    if not layer.built:
        raise InterchangeError(
            f"from_keras: {name!r} ({kind}) has no weights yet; call it or its build(shape) first"
        )
    if kind == "Bidirectional":
        return _bidirectional(name, layer, config, weights)
    if kind in RECURRENT:
        return _recurrent(name, kind, config, weights, False)
    if kind == "Dense":
        return _dense(name, config, weights)
    if kind == "Embedding":
        _plain(name, kind, config, mask_zero=False)
        [table] = weights
        return _filled(nn.Embedding(*table.shape), {"weight": table})
    if kind == "LayerNormalization":
        return _layer_norm(name, config, weights)
    raise InterchangeError(
        f"from_keras: {name!r} is a {kind}; SimpleRNN, LSTM, GRU, Bidirectional, Dense, Embedding "
        "and LayerNormalization can be carried"
    )


def _plain(name: str, kind: str, config: dict[str, Any], **expected: Any) -> None:
    """Raise unless options have the only values that we know."""
    for option, value in expected.items():
        known = value if isinstance(value, tuple) else (value,)
        if config.get(option, known[0]) not in known:
            raise InterchangeError(
                f"from_keras: {name!r} ({kind}) has {option}={config[option]!r}, which cannot be "
                f"carried; known is {' or '.join(map(repr, known))}"
            )


def _filled(module: nn.Module, state: dict[str, Array]) -> nn.Module:
    """The module with these weights, in their dtype."""
    module.astype(next(iter(state.values())).dtype)
    module.load_state_dict(state)
    return module


def _dense(name: str, config: dict[str, Any], weights: list[Array]) -> nn.Module:
    state = dict(zip(("weight", "bias"), (weights[0].T, *weights[1:]), strict=False))
    linear = _filled(
        nn.Linear(weights[0].shape[0], weights[0].shape[1], bias="bias" in state), state
    )
    _plain(name, "Dense", config, activation=("linear", *ACTIVATIONS), lora_rank=None)
    kind = config["activation"]
    return linear if kind == "linear" else nn.Sequential(linear, ACTIVATIONS[kind]())


def _layer_norm(name: str, config: dict[str, Any], weights: list[Array]) -> nn.Module:
    _plain(name, "LayerNormalization", config, center=True, scale=True, rms_scaling=False)
    gamma, beta = weights
    axis = config["axis"]
    if gamma.ndim != 1 or axis not in (-1, [-1]):
        raise InterchangeError(
            f"from_keras: {name!r} (LayerNormalization) has axis={axis!r}; only the last can be "
            "carried, axis=-1"
        )
    made = nn.LayerNorm(len(gamma), config["epsilon"])
    return _filled(made, {"weight": gamma, "bias": beta})


def _bidirectional(
    name: str, layer: Any, config: dict[str, Any], weights: list[Array]
) -> nn.Module:
    _plain(name, "Bidirectional", config, merge_mode=("concat", None))
    there, back = layer.forward_layer, layer.backward_layer
    kind, settings = type(there).__name__, there.get_config()
    other = back.get_config()
    decides = ("units", "activation", "recurrent_activation", "use_bias", "reset_after")
    if type(back) is not type(there) or any(settings.get(k) != other.get(k) for k in decides):
        raise InterchangeError(
            f"from_keras: {name!r} (Bidirectional) has a backward_layer unlike its forward layer"
        )
    if kind not in RECURRENT or not other["go_backwards"]:
        raise InterchangeError(
            f"from_keras: {name!r} (Bidirectional) of {kind}, backward_layer with "
            f"go_backwards={other.get('go_backwards')}, cannot be carried"
        )
    return _recurrent(name, kind, settings, weights, True)


def _recurrent(
    name: str, kind: str, config: dict[str, Any], weights: list[Array], both: bool
) -> nn.Module:
    layer = RECURRENT[kind]
    _plain(name, kind, config, go_backwards=False, stateful=False, time_major=False)
    options: dict[str, Any] = {}
    if layer is nn.RNN:
        _plain(name, kind, config, activation=("tanh", "relu"))
        options["nonlinearity"] = config["activation"]
    else:
        _plain(name, kind, config, activation="tanh", recurrent_activation="sigmoid")
    if layer is nn.GRU:
        options["reset_after"] = config["reset_after"]
    I, H = weights[0].shape[0], config["units"]
    made = layer(I, H, bias=config["use_bias"], batch_first=True, bidirectional=both, **options)
    state: dict[str, Array] = {}
    half = len(weights) // (2 if both else 1)
    for k, suffix in enumerate(("l0", "l0_reverse") if both else ("l0",)):
        kernel, recurrent, *bias = weights[k * half : (k + 1) * half]
        found = {"weight_ih": kernel.T, "weight_hh": recurrent.T}
        for b in bias:  # (2, 3 H): the GRU's input and recurrent bias; (G H,): one for both
            two = b if b.ndim == 2 else (b, np.zeros_like(b))
            found |= {"bias_ih": two[0], "bias_hh": two[1]}
        order = KERAS[layer]
        state |= {f"{n}_{suffix}": back_in_order(a, order) for n, a in found.items()}
    return _filled(made, state)


def to_keras(module: Any) -> list[Array]:
    """Weights for `layer.set_weights(...)` of the Keras layer of the same kind and size.

    RNN, LSTM and GRU of one layer go to SimpleRNN, LSTM and GRU, in both directions to
    Bidirectional of it, whatever the order of axes; Linear to Dense, Embedding, LayerNorm (give
    Keras its epsilon) to LayerNormalization. Raises InterchangeError for anything else,
    naming the option.

    >>> [w.shape for w in to_keras(nn.GRU(3, 4))]
    [(3, 12), (4, 12), (2, 12)]
    """
    kind = type(module)
    if kind is nn.Linear:
        bias = [] if module.bias is None else [module.bias.numpy()]
        return [module.weight.numpy().T, *bias]
    if kind is nn.Embedding:
        return [module.weight.numpy()]
    if kind is nn.LayerNorm:
        return [module.weight.numpy(), module.bias.numpy()]
    if kind not in KERAS:
        raise InterchangeError(
            f"to_keras: a {kind.__name__} cannot be carried; RNN, LSTM, GRU, Linear, Embedding "
            "and LayerNorm can, layer by layer"
        )
    missing = ("layer_norm", "zoneout", "peepholes", "proj_size", "num_layers")
    refuse("to_keras", "the layer", module, *missing)
    found = []
    for cell in module._cells.values():
        W, U, b, c = [in_order(a, KERAS[kind]) for a in halves(cell)]
        found += [W.T, U.T]
        if module.bias:
            two = kind is nn.GRU and cell.reset_after
            found.append(np.stack([b, c]) if two else b + c)
    return found
