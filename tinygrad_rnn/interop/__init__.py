"""Models and weights to and from others: ONNX files, Keras layers, PyTorch's state dicts.

Each function carries over everything that decides what is computed, or raises InterchangeError with
the layer and the option that cannot go, and then writes nothing. `to_onnx` and `from_onnx`
need the extra `onnx`; Keras and PyTorch are imported by whoever has them, not here.
"""

from .keras_weights import from_keras as from_keras, to_keras as to_keras
from .onnx_export import to_onnx as to_onnx
from .onnx_import import from_onnx as from_onnx
from .pytorch_files import from_pytorch as from_pytorch, to_pytorch as to_pytorch
