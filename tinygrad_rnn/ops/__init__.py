"""One op, one definition: the array functions of tinygrad_rnn.

A file's `__all__` says which of its functions are public; they are all public here.
"""

from . import (
    activations,
    arrange,
    bits,
    clipping,
    contract,
    diagonals,
    elementwise,
    indexing,
    joining,
    linalg,
    logic,
    names,
    pointwise,
    powers,
    random,
    reduce,
    rounding,
    rows,
    search,
    sets,
    shape,
    trigonometry,
)
from .activations import *
from .arrange import *
from .bits import *
from .clipping import *
from .contract import *
from .diagonals import *
from .elementwise import *
from .indexing import *
from .indexing import gather as gather, index as index  # what x[key] is
from .joining import *
from .linalg import *
from .linalg import sum_of_products as sum_of_products  # the sweep's, for shared weights
from .logic import *
from .names import *
from .pointwise import *
from .powers import *
from .random import *
from .reduce import *
from .rounding import *
from .rows import *
from .search import *
from .sets import *
from .shape import *
from .trigonometry import *
from .words import worded as _worded

__all__: list[str] = []
__all__ += activations.__all__
__all__ += arrange.__all__
__all__ += bits.__all__
__all__ += clipping.__all__
__all__ += contract.__all__
__all__ += diagonals.__all__
__all__ += elementwise.__all__
__all__ += indexing.__all__
__all__ += joining.__all__
__all__ += linalg.__all__
__all__ += logic.__all__
__all__ += names.__all__
__all__ += pointwise.__all__
__all__ += powers.__all__
__all__ += random.__all__
__all__ += reduce.__all__
__all__ += rounding.__all__
__all__ += rows.__all__
__all__ += search.__all__
__all__ += sets.__all__
__all__ += shape.__all__
__all__ += trigonometry.__all__


globals().update(_worded({_name: globals()[_name] for _name in __all__}))
