"""RNN, LSTM and GRU: the layers that PyTorch has, by name."""

from .cells import GRUCell, LSTMCell, RNNCell
from .recurrent import Recurrent


class RNN(Recurrent):
    """Elman network over sequences, tanh or relu: shapes and options as in `LSTM`.

    `recurrent_init="identity"` with `nonlinearity="relu"` is the IRNN of Le, Jaitly
    and Hinton (2015). Returns (output, h_n).

    >>> y, h = RNN(3, 4, nonlinearity="relu", recurrent_init="identity")(tg.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 4), (1, 2, 4))
    """

    cell = RNNCell


class LSTM(Recurrent):
    """Long short-term memory over sequences: `nn.LSTM(I, H)(x, (h0, c0), lengths)`.

    x is (T, N, I), or (N, T, I) with batch_first; output (T, N, D H) likewise, D = 2
    if bidirectional. h0, c0, h_n and c_n are (layers D, N, H), whatever batch_first
    says. Parameters have PyTorch's names (weight_ih_l0, weight_hh_l0, bias_ih_l0,
    bias_hh_l0, ..., weight_ih_l0_reverse), so a PyTorch state dict loads by name.

    `lengths` (N,), whole numbers from 1 to T in a list, an array or a tensor, are the true
    lengths in a padded batch, in any order: steps beyond them put out 0 and change no
    state, the final states are those at each true end, and the reverse direction starts
    there. Give a function under `tg.jit` a tensor of them: one recording then serves
    them all, where a list of numbers is part of the recording and each other one is
    recorded anew. Lengths out of range are refused in every call, jitted ones too.

    A single sequence (T, I), with h0 and c0 (layers D, H), gives everything without N.

    `dropout` acts between layers, in training, with one mask for all steps of a sequence if
    `variational`; `recurrent_dropout` sets parts of h to 0 on its way into W_hh, with one mask
    a sequence in any case (Gal and Ghahramani, NeurIPS 2016). Options of the cells:
    `proj_size` (PyTorch's), `peepholes` (ONNX's), `layer_norm` and `zoneout`, see `LSTMCell`;
    their parameters are gain_ih_l0, peephole_l0 and so on.
    `forget_bias` sets the forget gate's bias at the start;
    `recurrent_init` "orthogonal" (Saxe et al. 2014) or "identity" fills the
    recurrent weight gate by gate. Float32 unless `.astype("float64")`.

    Raises ShapeError or DTypeError for inputs, states or lengths that do not fit.
    Hochreiter and Schmidhuber, Neural Computation 9 (1997).

    >>> y, (h, c) = LSTM(3, 4, num_layers=2)(tg.ones(5, 2, 3), lengths=[5, 3])
    >>> y.shape, h.shape, y[4, 1].tolist()
    ((5, 2, 4), (2, 2, 4), [0.0, 0.0, 0.0, 0.0])
    """

    cell = LSTMCell


class GRU(Recurrent):
    """Gated recurrent unit over sequences: shapes and options as in `LSTM`.

    `reset_after=False` is the form of Cho et al. (2014), True PyTorch's. Returns
    (output, h_n).

    >>> y, h = GRU(3, 4, bidirectional=True)(tg.ones(5, 2, 3))
    >>> y.shape, h.shape
    ((5, 2, 8), (2, 2, 4))
    """

    cell = GRUCell
