"""One op, one definition: the array functions of tinygrad_rnn."""

from .activations import (
    erf as erf,
    gelu as gelu,
    relu as relu,
    sigmoid as sigmoid,
    silu as silu,
    softplus as softplus,
)
from .indexing import (
    chunk as chunk,
    embedding as embedding,
    gather as gather,
    index as index,
    one_hot as one_hot,
    split as split,
    take as take,
    take_along_axis as take_along_axis,
    unstack as unstack,
)
from .linalg import (
    linear as linear,
    matmul as matmul,
    outer as outer,
    sum_of_products as sum_of_products,
)
from .logic import (
    astype as astype,
    bitwise_and as bitwise_and,
    bitwise_invert as bitwise_invert,
    bitwise_or as bitwise_or,
    bitwise_xor as bitwise_xor,
    eq as eq,
    ge as ge,
    gt as gt,
    le as le,
    logical_and as logical_and,
    logical_not as logical_not,
    logical_or as logical_or,
    logical_xor as logical_xor,
    lt as lt,
    ne as ne,
    where as where,
)
from .pointwise import (
    abs as abs,
    add as add,
    clip as clip,
    cos as cos,
    div as div,
    exp as exp,
    expm1 as expm1,
    log as log,
    log1p as log1p,
    maximum as maximum,
    minimum as minimum,
    mul as mul,
    neg as neg,
    pow as pow,
    sin as sin,
    sqrt as sqrt,
    square as square,
    sub as sub,
    tanh as tanh,
)
from .random import (
    Generator as Generator,
    dropout as dropout,
    manual_seed as manual_seed,
)
from .reduce import (
    cumsum as cumsum,
    logsumexp as logsumexp,
    max as max,
    mean as mean,
    min as min,
    norm as norm,
    std as std,
    sum as sum,
    var as var,
)
from .rows import (
    log_softmax as log_softmax,
    normalize as normalize,
    softmax as softmax,
    softmax_cross_entropy as softmax_cross_entropy,
)
from .shape import (
    broadcast_to as broadcast_to,
    concat as concat,
    expand_dims as expand_dims,
    flip as flip,
    permute_dims as permute_dims,
    reshape as reshape,
    squeeze as squeeze,
    stack as stack,
    sum_to as sum_to,
    swapaxes as swapaxes,
)

# the names of `tinygrad_rnn` itself: all but what stands behind x[key] and a weight's gradient
__all__ = [
    "Generator", "abs", "add", "astype", "bitwise_and", "bitwise_invert", "bitwise_or",
    "bitwise_xor", "broadcast_to", "chunk", "clip", "concat", "cos", "cumsum", "div", "dropout",
    "embedding", "eq", "erf", "exp", "expand_dims", "expm1", "flip", "ge", "gelu", "gt", "le",
    "linear", "log", "log1p", "log_softmax", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logsumexp", "lt", "manual_seed", "matmul", "max", "maximum", "mean", "min",
    "minimum", "mul", "ne", "neg", "norm", "normalize", "one_hot", "outer", "permute_dims",
    "pow", "relu", "reshape", "sigmoid", "silu", "sin", "softmax", "softmax_cross_entropy",
    "softplus", "split", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "sum_to",
    "swapaxes", "take", "take_along_axis", "tanh", "unstack", "var", "where",
]  # fmt: skip
