"""The error contract: which exception, and what it says."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.testing import GradcheckError, gradcheck

S, D, G = tg.ShapeError, tg.DTypeError, tg.GraphError
NAN, INF = float("nan"), float("inf")
schedules = optim.lr_scheduler


def f32(*shape):
    return tg.ones(*shape)


def f64(*shape):
    return tg.ones(*shape, dtype=np.float64)


def u8():
    return tg.tensor(np.array([1, 2], np.uint8))


def graph():
    return tg.ones(2, requires_grad=True) * 1


def w():
    return tg.tensor(1.0, requires_grad=True)


def freed():
    y = graph().sum()
    y.backward()
    y.backward()


def in_place():
    x = graph()
    x += 1


def with_grad(g):
    w = tg.ones(2, requires_grad=True)
    w.grad = g
    optim.SGD([w], 0.1).step()


def wrong_hook():
    x = tg.ones(2, requires_grad=True)
    x.register_hook(lambda g: tg.ones(3))
    x.sum().backward()


ERRORS = {
    # shapes
    "add": (lambda: f32(2, 3) + f32(2, 4), S, r"add: shapes \(2, 3\) and \(2, 4\) do not broadcast"),
    "matmul": (lambda: f32(2, 3) @ f32(4, 5), S, r"matmul: the last axis of a is 3 but b has 4 rows"),
    "matmul scalar": (lambda: f32() @ f32(2), S, "matmul: needs at least one axis each"),
    "matmul number": (lambda: f32(2) @ 2, S, r"matmul: needs at least one axis each, got \(2,\) and"),
    "linear x": (lambda: tg.linear(f32(2, 3), f32(4, 5), f32(4)), S, "linear: x is .* W is"),
    "linear of a number": (lambda: nn.Linear(3, 4)(f32()), S, r"linear: x is \(\) and W is"),
    "linear b": (lambda: tg.linear(f32(2, 5), f32(4, 5), f32(1)), S, r"linear: b must be \(4,\)"),
    "reshape": (lambda: f32(2, 3).reshape(4), S, "reshape: .* 6 values, which do not fill"),
    "reshape twice -1": (lambda: f32(2, 3).reshape(-1, -1), S, "only one size may be -1"),
    "concat": (lambda: tg.concat([f32(2, 3), f32(2, 4)]), S, "concat: all shapes must agree"),
    "concat nothing": (lambda: tg.concat([f32(2)][:0]), S, "concat: no arrays"),
    "stack": (lambda: tg.stack([f32(2), f32(3)]), S, "stack: all shapes must be equal"),
    "broadcast_to": (lambda: f32(2).broadcast_to(shape=(3,)), S, "broadcast_to: .* does not"),
    "split": (lambda: f32(4).split([1, 2]), S, "split: sizes .* add up to 3, axis 0 has 4"),
    "chunk": (lambda: f32(4).chunk(0), S, "chunk: at least 1 piece"),
    "squeeze": (lambda: f32(2, 1).squeeze(0), S, "squeeze: axis 0 .* has size 2"),
    "outer": (lambda: tg.outer(f32(2, 1), f32(2)), S, "outer: needs two vectors"),
    "take_along_axis": (
        lambda: tg.take_along_axis(f32(2, 3), tg.tensor([1, 2])), S, "take_along_axis: indices"),
    "embedding table": (lambda: tg.embedding(tg.tensor([0]), f32(3)), S, "two axes"),
    "ragged": (lambda: tg.tensor([[1.0], [1.0, 2.0]]), S, "tensor: rows of different lengths"),
    "negative size": (lambda: tg.zeros(2, -1), S, "a shape is made of whole numbers"),
    "item": (lambda: f32(2).item(), S, "item: needs exactly one value"),
    "truth": (lambda: bool(f32(2)), S, "truth of a tensor"),
    "len": (lambda: len(f32()), S, "len: a tensor without axes"),
    "assign_ shape": (lambda: f32(2).assign_([1.0]), S, r"assign_: the shape is \(2,\)"),
    # axes and indices
    "axis": (lambda: f32(2, 3).sum(axis=2), S, "sum: axis 2 is out of range .* use -2 to 1"),
    "axis of a number": (lambda: f32().sum(axis=0), S, "sum: axis 0 of a single value, which has"),
    "max axis of a number": (lambda: f32().max(axis=-1), S, "max: axis -1 of a single value"),
    "norm axis of a number": (lambda: tg.norm(f32(), axis=0), S, "norm: axis 0 of a single"),
    "mean axis of a number": (lambda: f32().mean(axis=0), S, "mean: axis 0 of a single value"),
    "softmax axis of a number": (lambda: tg.softmax(f32()), S, "softmax: axis -1 of a single"),
    "cumsum of a number": (lambda: tg.cumsum(f32(), axis=0), S, "cumsum: axis 0 of a single value"),
    "cumsum by name": (lambda: tg.cumsum(f32(2, 3), axis="rows"), S, "cumsum: axis must be an int"),
    "axis twice": (lambda: f32(2, 3).sum(axis=(0, -2)), S, "sum: axis .* twice"),
    "axis type": (lambda: f32(2, 3).max(axis="rows"), S, "max: axis must be an int"),
    "max of nothing": (lambda: f32(0, 3).max(axis=0), S, "max: no value to choose from"),
    "softmax axis": (lambda: tg.softmax(f32(2), axis=1), S, "softmax: axis 1"),
    "permute": (lambda: f32(2, 3).permute_dims(0, 0), S, "permute_dims: axes"),
    "index": (lambda: f32(2)[2], S, "index: .*2 is out of bounds.*shape"),
    "too many": (lambda: f32(2)[0, 0], S, "index: too many indices"),
    "index array": (lambda: f32(2)[[0, 5]], S, "index: index 5 is out of bounds"),
    "float index": (lambda: f32(2)[0.5], D, "index: must be integers.* float"),
    "take": (lambda: tg.take(f32(2), tg.tensor([2])), S, "take: index 2 is out of range for axis 0"),
    "take floats": (lambda: tg.take(f32(2), f32(1)), D, "take: indices must be integers"),
    "one_hot": (lambda: tg.one_hot(tg.tensor([3]), num_classes=3), S, "one_hot: index 3"),
    "classes of a number": (lambda: nn.cross_entropy(f32(), tg.tensor(0)), S, "axis of classes"),
    # dtypes and arguments
    "misspelt dtype": (lambda: tg.zeros(2, dtype="flaot32"), D, "dtype 'flaot32' is not known; use"),
    "dtype to cast to": (lambda: tg.can_cast(tg.int32, "flaot32"), D, "dtype 'flaot32' is not known"),
    "limits of no dtype": (lambda: tg.finfo("flaot32"), D, "dtype 'flaot32' is not known"),
    "dtype of a tensor": (lambda: tg.tensor([1], dtype="flaot32"), D, "dtype 'flaot32' is not"),
    "dtype of none": (lambda: f32(2).astype("single float"), D, "dtype 'single float' is not"),
    "whole power": (lambda: tg.tensor([2]) ** -1, D, "pow.*negative integer powers.*astype"),
    "shift by floats": (lambda: tg.tensor([2]) << f32(1), D, "left_shift: expected integers"),
    "arange that stands": (lambda: tg.arange(0, 5, 0), ValueError, "arange: step must not be 0"),
    "mix": (lambda: f32(2) * f64(2), D, r"mul: inputs are float32 and float64; convert .*\.astype"),
    "mix numpy": (lambda: f32(2) + np.ones(2), D, "add: inputs are float32 and float64"),
    "mix stack": (lambda: tg.stack([f32(2), f64(2)]), D, "stack: inputs are"),
    "text": (lambda: f32(2) + "1", D, "add: expected a tensor.* got str"),
    "none alone": (lambda: tg.sum(None), D, "sum: expected .* NoneType"),
    "none": (lambda: tg.maximum(f32(2), None), D, "maximum: expected .* NoneType"),
    "text tensor": (lambda: tg.tensor(["a"]), D, "tensor: dtype <U1"),
    "complex": (lambda: tg.tensor(1j), D, "complex128 is not supported"),
    "complex zeros": (lambda: tg.zeros(2, dtype="c8"), D, "dtype complex64 is not supported"),
    "half Tensor": (lambda: tg.Tensor(np.ones(2, np.float16)), D, "float16 is not supported"),
    "object Tensor": (lambda: tg.Tensor(np.array([None])), D, "object is not supported"),
    "complex like": (lambda: tg.ones_like(np.ones(2, complex)), D, "complex128 is not supported"),
    "complex number": (lambda: f32(2) * 1j, D, "complex128 is not supported"),
    "complex scalar": (lambda: f32(2) * np.complex64(1j), D, "complex128 is not supported"),
    "text scalar": (lambda: f32(2) + np.str_("1"), D, "add: expected a tensor.* got str"),
    "masked": (lambda: tg.tensor(np.ma.array([1.0])), D, "a masked array would lose its mask"),
    "masked operand": (lambda: f32(1) + np.ma.array([1.0]), D, "would lose its mask"),
    "masked Tensor": (lambda: tg.Tensor(np.ma.array([1.0])), D, "would lose its mask"),
    "masked values": (lambda: f32(1).assign_(np.ma.array([1.0])), D, "would lose its mask"),
    "number too small": (lambda: u8() + (-3), D, r"add: .*-3 out of bounds for uint8; .*astype"),
    "number too large": (lambda: 300 * u8(), D, "mul: .*300 out of bounds for uint8"),
    "condition": (lambda: tg.where(f32(2), 1.0, 2.0), D, "where: the condition must be boolean, got"),
    "bits of floats": (lambda: f32(2) & f32(2), D, "bitwise_and.*float32"),
    "half": (lambda: tg.tensor(np.ones(2, np.float16)), D, "float16 is not supported"),
    "integer grad": (lambda: tg.tensor([1], requires_grad=True), D, "only float tensors have"),
    "unknown attribute": (lambda: tg.sum(f32(2), dim=0), TypeError, "unknown dim"),
    "another attribute": (lambda: tg.flip(f32(2), dim=0), TypeError, r"flip\(x.*unknown dim"),
    "missing attribute": (lambda: tg.reshape(f32(2)), TypeError, r"reshape\(x.*missing shape"),
    "missing input": (lambda: tg.mul(f32(2)), TypeError, "missing b"),
    "seed": (lambda: tg.manual_seed(-1), S, "manual_seed: .* from 0"),
    "seed type": (lambda: tg.manual_seed("0"), D, "manual_seed: the seed must be an int"),
    "dropout": (lambda: tg.dropout(f32(2), 1.0), S, r"dropout: p must be in \[0, 1\)"),
    # the graph
    "no graph": (lambda: f32().backward(), G, "does not depend on anything that requires"),
    "not a scalar": (lambda: graph().backward(), G, r"shape \(2,\); only a single value"),
    "seed shape": (lambda: graph().backward(np.ones(3)), S, r"the seed has shape \(3,\)"),
    "seed dtype": (lambda: graph().backward(f64(2)), D, "the seed is float64"),
    "freed": (freed, G, "freed by an earlier backward"),
    "in place": (in_place, G, r"in-place operators .* write x = x \+ y"),
    "setitem": (lambda: graph().__setitem__(0, 1.0), G, "build the new one with tg.where"),
    "to numpy": (lambda: np.asarray(graph()), G, r"use \.detach\(\)\.numpy\(\)"),
    "tensors in a list": (lambda: f32(2) * [w(), w()], G, "would drop the graph; .*tg.stack"),
    "tensors in lists": (lambda: tg.tensor([[w()], [w()]]), G, "would drop the graph"),
    "ufunc": (lambda: np.exp(graph()), TypeError, "does not support ufuncs"),
    "requires_grad of a result": (
        lambda: setattr(graph(), "requires_grad", False), G, "computed by an op"),
    "assign_ a result": (lambda: graph().assign_([1.0, 1.0]), G, "assign_: only a leaf"),
    "assign_ detached": (lambda: graph().detach().assign_([1.0, 1.0]), G, "make a copy"),
    "hook on a constant": (lambda: f32(2).register_hook(print), G, "does not require a gradient"),
    "hook's shape": (wrong_hook, G, "gradient hook: must return None or a tensor of shape"),
    "deepcopy": (lambda: copy.deepcopy(graph()), G, "cannot be copied; copy .detach"),
    "copy": (lambda: copy.copy(graph()), G, "cannot be copied; copy .detach"),
    "pickle": (lambda: pickle.dumps(graph()), G, "cannot be pickled"),
    "copy a node": (lambda: copy.copy(graph().node), G, "a graph cannot be copied"),
    "grad of a constant": (lambda: tg.grad(graph().sum(), f32(2)), G, "grad: an input does not"),
    "gradcheck float32": (lambda: gradcheck(tg.exp, tg.ones(2, requires_grad=True)), D, "float64"),
    "gradcheck constant": (lambda: gradcheck(tg.exp, f64(2)), G, "no input requires a gradient"),
    # modules
    "loss of None": (lambda: nn.mse_loss(None, f32(2)), D, "mse_loss: the prediction is no tensor"),
    "target None": (lambda: nn.cross_entropy(f32(2, 3), None), D, "cross_entropy: the target is no"),
    "layer option": (lambda: nn.GRU(3, 4, layers=2), TypeError, "GRU: unknown layers; .*reset_after"),
    "signature": (lambda: f32(2).sum(dim=0), TypeError, r"sum\(x, axis=None, .*\): unknown dim"),
    "cell input": (lambda: nn.LSTMCell(3, 4)(f32(2, 5)), S, r"LSTMCell: x must be \(N, 3\)"),
    "cell state": (lambda: nn.GRUCell(3, 4)(f32(2, 3), f32(2, 5)), S, r"GRUCell: state h must be"),
    "cell states": (lambda: nn.LSTMCell(3, 4)(f32(2, 3), f32(2, 4)), S, "state is h and c, got 1"),
    "cell array": (lambda: nn.RNNCell(3, 4)(np.ones((2, 3))), D, "use tg.tensor"),
    "layer input": (lambda: nn.LSTM(3, 4)(f32(5, 2, 4)), S, r"LSTM: x must be \(T, N, 3\)"),
    "layer state": (
        lambda: nn.GRU(3, 4, batch_first=True)(f32(2, 5, 3), f32(2, 1, 4)),
        S, r"h0 must be \(1, 2, 4\), layers x directions first \(also with batch_first\)"),
    "empty batch": (lambda: nn.RNN(3, 4)(f32(5, 0, 3)), S, "at least one sequence in the batch"),
    "no steps": (lambda: nn.RNN(3, 4)(f32(0, 2, 3)), S, "at least one time step"),
    "layer dtype": (lambda: nn.RNN(3, 4)(f64(5, 2, 3)), D, "x is float64, the weights float32"),
    "lengths range": (lambda: nn.GRU(3, 4)(f32(5, 2, 3), lengths=[5, 6]), S, "from 1 to 5.* got 6"),
    "lengths zero": (lambda: nn.GRU(3, 4)(f32(5, 2, 3), lengths=[0, 5]), S, "got 0"),
    "lengths shape": (lambda: nn.GRU(3, 4)(f32(5, 2, 3), lengths=[5]), S, r"lengths must be \(2,\)"),
    "lengths dtype": (lambda: nn.GRU(3, 4)(f32(5, 2, 3), lengths=[5.0, 4.0]), D, "integers"),
    "sizes": (lambda: nn.LSTM(0, 4), S, "LSTM: input_size must be a whole number from 1, got 0"),
    "nonlinearity": (lambda: nn.RNN(3, 4, nonlinearity="elu"), ValueError, "'tanh' or 'relu'"),
    "recurrent_init": (lambda: nn.RNN(3, 4, recurrent_init="x"), ValueError, "recurrent_init"),
    "forget_bias": (lambda: nn.LSTMCell(3, 4, bias=False, forget_bias=1.0), ValueError, "bias=True"),
    "LayerNorm": (lambda: nn.LayerNorm(3)(f32(2, 4)), S, "LayerNorm: the last axis must be 3"),
    "Embedding": (lambda: nn.Embedding(3, 2)(tg.tensor([3])), S, "take: index 3 is out of range"),
    "forward": (lambda: nn.Module()(1), NotImplementedError, "must define forward"),
    "Sequential": (lambda: nn.Sequential(), G, "at least one module"),
    "state dict": (
        lambda: nn.Linear(2, 3).load_state_dict({"weight": np.ones((2, 2)), "c": np.ones(1)}),
        S, r"(?s)nothing was loaded.*shape: weight is \(3, 2\) here.*missing: bias.*unexpected: c"),
    "state dict text": (lambda: nn.Linear(2, 3).load_state_dict({"weight": "x"}), D, "not numbers"),
    "module dtype": (lambda: nn.Linear(2, 3).astype("int32"), D, "float32 or float64"),
    "orthogonal": (lambda: nn.init.orthogonal_(f32(3)), S, "orthogonal_: needs a matrix"),
    "identity": (lambda: nn.init.identity_(f32(5, 3)), S, "identity_: needs square blocks"),
    # losses
    "mse shapes": (lambda: nn.mse_loss(f32(2, 1), f32(2)), S, "must have equal shapes"),
    "reduction": (lambda: nn.l1_loss(f32(2), f32(2), "avg"), ValueError, "l1_loss: reduction"),
    "mask dtype": (lambda: nn.mse_loss(f32(2), f32(2), mask=f32(2)), D, "mask must be boolean"),
    "mask shape": (
        lambda: nn.mse_loss(f32(2), f32(2), mask=np.ones(3, bool)), S, "mask .* does not broadcast"),
    "classes": (lambda: nn.cross_entropy(f32(2, 3), tg.tensor([0, 3])), S, "index 3 is out of range for classes"),
    "class dtype": (lambda: nn.cross_entropy(f32(2, 3), f32(2)), D, "must be class numbers"),
    "class shape": (lambda: nn.cross_entropy(f32(2, 3), tg.tensor([0])), S, r"must be \(2,\)"),
    "classes second": (
        lambda: nn.cross_entropy(f32(2, 3, 4), tg.tensor(np.zeros((2, 4), int))),
        S, r"fit with the classes on axis 1, as in PyTorch; .* say axis=1"),
    "classes axis": (
        lambda: nn.cross_entropy(f32(2, 3), tg.tensor([0, 0]), axis=2), S, "cross_entropy: axis 2"),
    "smoothing": (
        lambda: nn.cross_entropy(f32(2, 3), tg.tensor([0, 1]), label_smoothing=2.0),
        ValueError, "label_smoothing must be in"),
    "variance": (lambda: nn.gaussian_nll_loss(f32(2), f32(2), -1.0), ValueError, "variance below 0"),
    "beta": (lambda: nn.smooth_l1_loss(f32(2), f32(2), 0.0), ValueError, "beta must be positive"),
    "class weight": (
        lambda: nn.cross_entropy(f32(2, 3), tg.tensor([0, 1]), weight=[1.0]), S, "weight must be"),
    "quantile": (lambda: nn.quantile_loss(f32(2), f32(2), 1.5), ValueError, "between 0 and 1"),
    "quantiles": (lambda: nn.quantile_loss(f32(2), f32(2), [0.1, 0.9]), S, "for 2 quantiles"),
    "delta": (lambda: nn.huber_loss(f32(2), f32(2), 0.0), ValueError, "delta must be positive"),
    # optimisers
    "no parameters": (lambda: optim.SGD([], 0.1), G, "SGD: got no parameters"),
    "not a leaf": (lambda: optim.Adam([graph()]), G, "float leaf tensors"),
    "twice": (lambda: optim.SGD([w := f32(2), w], 0.1), G, "listed twice"),
    **{
        f"{cls} {name} {value!r}": (
            lambda cls=cls, name=name, value=value: getattr(optim, cls)([f32(2)], **{name: value}),
            ValueError, f"{cls}: {name} must be .*, got ")
        for cls, name, values in (
            ("SGD", "lr", (10**400, -1.0, NAN, INF, "0.1", True, None)), ("SGD", "momentum", (-0.1, NAN)),
            ("SGD", "dampening", (INF,)), ("SGD", "nesterov", (1,)), ("SGD", "weight_decay", (-1,)),
            ("Adam", "betas", ((1.0, 0.9), (0.9, -0.1), (0.9,), 0.9, (NAN, 0.9))),
            ("Adam", "eps", (-1e-8,)), ("Adam", "amsgrad", (None,)), ("AdamW", "maximize", ("no",)),
            ("RMSprop", "alpha", (1.1, -0.1)), ("RMSprop", "centered", (0.5,)),
            ("Adagrad", "lr_decay", (-1,)), ("Adagrad", "initial_accumulator_value", (-1,)),
            ("Adadelta", "rho", (1.5,)), ("NAdam", "momentum_decay", (-1.0,)), ("RAdam", "betas", ((0, 1),)),
            ("Adamax", "eps", (NAN,)), ("LBFGS", "max_iter", (0, 2.5)), ("LBFGS", "line_search_fn", ("wolfe",)),
        )
        for value in values
    },
    "option of a group": (lambda: sgd().param_groups[0].update(lr=-1), ValueError, "SGD: lr must be"),
    "unknown option": (
        lambda: optim.SGD([{"params": [f32(2)], "beta": 1}], 0.1), ValueError,
        "SGD: a parameter group has no option 'beta'; it has lr, .*momentum"),
    "parameters of a group": (
        lambda: sgd().param_groups[0].update(params=[]), G, "stay; use add_param_group"),
    "group": (lambda: sgd().add_param_group([f32(2)]), G, "a group is a dict with 'params', got"),
    "twice in groups": (
        lambda: optim.SGD([{"params": [w := f32(2)]}, {"params": w}], 0.1), G, "listed twice"),
    "one tensor": (lambda: optim.SGD(f32(2), 0.1), G, "come in a list, .* got Tensor"),
    "rates differ": (
        lambda: optim.SGD([{"params": f32(1)}, {"params": f32(1), "lr": 1}], 0.1).lr, G,
        r"SGD.lr: the parameter groups have \[0.1, 1.0\]"),
    "recorded step": (
        lambda: tg.jit(lambda x: sgd().step() or x)(f32(2)), tg.CaptureError, r"SGD.step\(\) inside"),
    "no closure": (lambda: optim.LBFGS([f32(2)]).step(), G, "needs a closure"),
    "two groups": (
        lambda: optim.LBFGS([{"params": f32(1)}, {"params": f32(1)}]), G, "takes one group"),
    "converted": (lambda: converted(), D, "is float64 of .* its moments float32"),
    "nesterov": (lambda: optim.SGD([f32(2)], 0.1, nesterov=True), ValueError, "nesterov needs"),
    "gradient shape": (lambda: with_grad(f32(3)), S, r"gradient of a parameter must be \(2,\)"),
    "gradient dtype": (lambda: with_grad(f64(2)), D, "a parameter is float32, its gradient float64"),
    "optimiser state": (
        lambda: optim.Adam([f32(2)]).load_state_dict(optim.SGD([f32(2)], 0.1).state_dict()),
        S, "nothing was loaded; missing options: amsgrad, .*betas.*; unexpected: dampening"),
    "group sizes": (
        lambda: sgd().load_state_dict(optim.SGD([f32(1), f32(1)], 0.1).state_dict()), S, r"\[1\] parameters here"),
    "moment shape": (
        lambda: optim.Adam([f32(2)]).load_state_dict(optim.Adam([f32(3)]).state_dict()), S,
        r"exp_avg of parameter 0 must be \(2,\), got \(3,\)"),
    "milestones": (
        lambda: schedules.SequentialLR(o := sgd(), [schedules.StepLR(o, 1)], [3]), ValueError, "need 0 milestones"),
    "no momentum": (
        lambda: schedules.CyclicLR(optim.Adagrad([f32(1)]), 0.1, 1.0), ValueError, "say cycle_momentum=False"),
    "one step more": (lambda: too_many(), ValueError, "2 steps were to be made"),
    "groups of a schedule": (lambda: grown(), G, "has 2 parameter groups, the schedule was made for 1"),
    **{
        f"state of a schedule {state}": (
            lambda state=state: schedules.StepLR(sgd(), 1).load_state_dict(state), ValueError, message)
        for state, message in (
            (None, "needs a dict, got NoneType"), ({}, "'base_lrs', .*'step_size'] do not fit"),
            ({"step_size": "a", "gamma": 1, "last_epoch": 0, "base_lrs": [1], "_last_lr": [1]}, r"\['step_size'] do"),
        )
    },
    "factor": (
        lambda: schedules.LambdaLR(sgd(), lambda t: None), ValueError, "lr_lambda must be a finite number, got None"),
    "step in a state": (
        lambda: optim.Adam([f32(1)]).load_state_dict(stepped(-1)), S, "step of parameter 0 must be a whole number"),
    "rate": (
        lambda: schedules.LambdaLR(sgd(), lambda t: -1.0), ValueError, "LambdaLR: lr must be"),
    "clip": (lambda: optim.clip_grad_norm_([f32(2)], 0.0), ValueError, "max_norm must be positive"),
    "norm type": (
        lambda: optim.clip_grad_norm_([f32(2)], 1.0, False), ValueError, "norm_type must be a number above 0"),
    "clip groups": (lambda: optim.clip_grad_norm_(sgd().param_groups, 1.0), G, "needs parameters, as"),
    "clip NaN": (
        lambda: optim.clip_grad_norm_([_nan_grad()], 1.0), tg.AnomalyError, "norm .* is nan"),
    "plateau": (
        lambda: optim.lr_scheduler.ReduceLROnPlateau(optim.SGD([f32(2)], 0.1)).step(),
        ValueError, "needs the metric"),
}  # fmt: skip


def stepped(n):
    state = optim.Adam([f32(1)]).state_dict()
    state["state"][0]["step"] = n
    return state


def sgd():
    return optim.SGD([f32(2)], 0.1)


def converted():
    layer = nn.Linear(2, 2)
    optimizer = optim.Adam(layer.parameters())
    layer.astype("float64")(tg.ones(1, 2, dtype="float64")).sum().backward()
    optimizer.step()


def too_many():
    schedule = schedules.OneCycleLR(sgd(), 1.0, 2)
    for _ in range(3):
        schedule.step()


def grown():
    optimizer = sgd()
    schedule = schedules.StepLR(optimizer, 1)
    optimizer.add_param_group({"params": [f32(1)]})
    schedule.step()


def _nan_grad():
    w = tg.ones(2, requires_grad=True)
    (w * float("nan")).sum().backward()
    return w


@pytest.mark.parametrize("name", ERRORS)
def test_error(name):
    call, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message) as caught:
        call()
    assert type(caught.value) is kind


def test_load_state_dict_is_all_or_nothing():
    model = nn.Linear(2, 3)
    before = model.state_dict()
    with pytest.raises(S):
        model.load_state_dict({"weight": np.zeros((3, 2)), "bias": np.zeros(4)})
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_a_failed_backward_changes_no_gradient():
    x, w = tg.ones(2, requires_grad=True), tg.ones(2, requires_grad=True)
    loss = (x * 2).sum() + (w * w).sum()
    w.assign_([3.0, 3.0])
    with pytest.raises(G):
        loss.backward()
    assert x.grad is None
    assert w.grad is None


def test_gradcheck_catches_planted_errors():
    from tinygrad_rnn.op import OPS, pointwise

    @pointwise(kernel=np.square)
    def wrong_square(x):
        """Square with a wrong gradient."""
        return x * x

    try:

        @wrong_square.vjp
        def wrong_square_vjp(g, x):
            return g * (2.001 * x)

        x = tg.tensor(np.array([0.5, -1.5]), requires_grad=True)
        for fast in (False, True):
            with pytest.raises(GradcheckError, match="the finite difference"):
                gradcheck(wrong_square, x, fast=fast, rtol=1e-4)

        @wrong_square.vjp
        def wrong_square_vjp(g, x):  # noqa: F811
            return g * (2 * x.detach() if isinstance(x, tg.Tensor) else 2 * x)

        wrong_square._plans.clear()
        assert gradcheck(wrong_square, x)
        with pytest.raises(GradcheckError):
            tg.testing.gradgradcheck(wrong_square, x)
    finally:
        del OPS["wrong_square"]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_rule_that_gives_another_shape_is_named(create_graph):
    from tinygrad_rnn.op import OPS, primitive

    @primitive(shape=lambda x, *, axis: x.shape)
    def doubled(x, *, axis=0):
        """2 x, whose rules are wrong."""
        return x * 2

    try:
        for unfit, came in (
            (lambda g: g[:1], r"shape \(1, 3\)"),
            (lambda g: tg.permute_dims(g, (1, 0)), r"shape \(3, 2\)"),
            (lambda g: [2.0], "list"),
            (lambda g: None, "None"),
        ):

            def doubled_vjp(g, x, *, axis):
                return unfit(g)  # noqa: B023

            doubled.vjp(doubled_vjp)
            doubled._plans.clear()
            x = tg.ones(2, 3, requires_grad=True)
            with pytest.raises(G, match=rf"of doubled for x .* \(2, 3\), .* it gave {came}"):
                tg.grad(doubled(x).sum(), [x], create_graph=create_graph)
        with pytest.raises(G, match=r"of doubled for x .* it gave None"), tg.detect_anomaly():
            tg.grad(doubled(x).sum(), [x], create_graph=create_graph)
        with pytest.raises(ValueError, match=r"doubled_vjp: cannot read axis, z; .* \(x\)"):

            @doubled.vjp
            def doubled_vjp(g, axis, z):
                return g
    finally:
        del OPS["doubled"]


def test_functions_made_of_ops_take_lists_as_ops_do():
    for name, value in {"tril": [[1, 2], [3, 4]], "flip": [1, 2], "cumsum": [1, 2], "squeeze": [[1, 2]],
                        "unstack": [[1], [2]], "sort": [2, 1], "bitwise_invert": [1]}.items():  # fmt: skip
        found = getattr(tg, name)(value)
        np.testing.assert_array_equal(found, getattr(tg, name)(np.array(value)))
    assert tg.hstack([[1, 2], [3]]).tolist() == [1, 2, 3]
    joined = tg.hstack([tg.ones(2, requires_grad=True), [1.0]])
    assert joined.requires_grad
    assert joined.dtype == np.float32
