"""Every error the library raises on purpose; each says what came and what to do."""

import os
import sys

_PACKAGE = os.path.dirname(__file__)


class ShapeError(ValueError, IndexError):
    """Shapes, axes or indices that do not fit the op; both errors, as NumPy's of an axis is."""


class DTypeError(TypeError):
    """A dtype the op cannot take, or two that must not be mixed."""


class GraphError(RuntimeError):
    """A graph used after it was freed, changed in place, or never recorded."""


class AnomalyError(ArithmeticError):
    """A value or gradient that is not finite, met under `detect_anomaly`."""


class DataError(ValueError):
    """A data file or series that cannot be used as it stands."""


class CaptureError(RuntimeError):
    """Something in a function given to `tg.jit` that cannot become part of its program."""


class CompilerWarning(RuntimeWarning):
    """A defect of `tg.jit` itself: results are right, but a part runs op by op, and slowly."""


class CaptureWarning(UserWarning):
    """A jitted function that is recorded again and again: its answers are right, and slow."""


class AuditError(RuntimeError):
    """A jitted function whose compiled answer differs from the eager one."""


class CheckpointError(RuntimeError):
    """A file of states that cannot be written, read or taken over; nothing was changed."""


class InterchangeError(ValueError):
    """A layer or option that another library's format, or ours, has no place for."""


class RenderError(RuntimeError):
    """A diagram that could not be written in the form asked for."""


def kind(value: object) -> str:
    """What a value is, for messages; with its library, since others have a Tensor, too."""
    found = type(value)
    library = found.__module__.partition(".")[0]
    return found.__name__ if library == "builtins" else f"{library}.{found.__name__}"


_ours: dict[str, bool] = {}  # by file, whether it is this package's: 90 ns less a frame
_lines: dict[tuple[str, int], str] = {}  # a recording names the same line at every step


def user_line(above: int = 1) -> str:
    """File and line of the innermost frame outside this package, looked for `above` frames up."""
    frame = sys._getframe(above)
    while frame.f_back is not None:
        file = frame.f_code.co_filename
        ours = _ours.get(file)
        if ours is None:
            ours = _ours[file] = file.startswith(_PACKAGE)
        if not ours:
            break
        frame = frame.f_back
    key = frame.f_code.co_filename, frame.f_lineno
    return _lines.get(key) or _lines.setdefault(key, "{}:{}".format(*key))
