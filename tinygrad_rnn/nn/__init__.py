"""Modules, recurrent layers, initialisers and losses."""

from . import init as init
from .cells import GRUCell as GRUCell, LSTMCell as LSTMCell, RNNCell as RNNCell
from .layers import (
    Dropout as Dropout,
    Embedding as Embedding,
    LayerNorm as LayerNorm,
    Linear as Linear,
)
from .losses import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
    cross_entropy as cross_entropy,
    huber_loss as huber_loss,
    l1_loss as l1_loss,
    mse_loss as mse_loss,
    quantile_loss as quantile_loss,
)
from .module import Module as Module, Parameter as Parameter, Sequential as Sequential
from .recurrent import GRU as GRU, LSTM as LSTM, RNN as RNN, unroll as unroll
