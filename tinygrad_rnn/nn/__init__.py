"""Modules, recurrent layers, initialisers and losses."""

from typing import Any as _Any

from ..words import IN_NN as _WORDS, hint as _hint
from . import init as init
from .activations import (
    ELU as ELU,
    GELU as GELU,
    SELU as SELU,
    Identity as Identity,
    LeakyReLU as LeakyReLU,
    LogSigmoid as LogSigmoid,
    LogSoftmax as LogSoftmax,
    Mish as Mish,
    PReLU as PReLU,
    ReLU as ReLU,
    Sigmoid as Sigmoid,
    SiLU as SiLU,
    Softmax as Softmax,
    Softplus as Softplus,
    Softsign as Softsign,
    Tanh as Tanh,
)
from .attention import Attention as Attention, Memory as Memory
from .cells import GRUCell as GRUCell, LSTMCell as LSTMCell, RNNCell as RNNCell
from .classification import (
    binary_cross_entropy as binary_cross_entropy,
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
    cross_entropy as cross_entropy,
    kl_div as kl_div,
    nll_loss as nll_loss,
)
from .containers import (
    ModuleDict as ModuleDict,
    ModuleList as ModuleList,
    ParameterList as ParameterList,
    Sequential as Sequential,
)
from .ctc import ctc_decode as ctc_decode, ctc_loss as ctc_loss
from .decoding import Hypothesis as Hypothesis, beam_search as beam_search
from .layers import (
    Bilinear as Bilinear,
    Dropout as Dropout,
    Embedding as Embedding,
    Flatten as Flatten,
    LayerNorm as LayerNorm,
    Linear as Linear,
)
from .losses import (
    cosine_embedding_loss as cosine_embedding_loss,
    cosine_similarity as cosine_similarity,
    gaussian_nll_loss as gaussian_nll_loss,
    huber_loss as huber_loss,
    l1_loss as l1_loss,
    mse_loss as mse_loss,
    poisson_nll_loss as poisson_nll_loss,
    quantile_loss as quantile_loss,
    smooth_l1_loss as smooth_l1_loss,
)
from .module import Module as Module, Parameter as Parameter
from .overview import summary as summary
from .reparametrized import remove_weight_norm as remove_weight_norm, weight_norm as weight_norm
from .rnn import GRU as GRU, LSTM as LSTM, RNN as RNN
from .unrolling import unroll as unroll


def __getattr__(name: str) -> _Any:
    """Name what PyTorch calls otherwise."""
    raise AttributeError(_hint(f"module 'tinygrad_rnn.nn' has no attribute {name!r}", name, _WORDS))
