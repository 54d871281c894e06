"""Nested states on disk: one safetensors file, whole or not there at all, with a digest.

Arrays stand under their path, joined by dots, so that a state dict reads as such in any program
that knows safetensors; how they nest, and whatever is no array, is JSON in the file's metadata.
Nothing in a file is ever executed. SHA-256 covers every byte: the digest's own place counts as
zeros.
"""

import contextlib
import glob
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import deserialize
from safetensors.numpy import load, save

from .errors import CheckpointError

Array = np.ndarray[Any, Any]
FORMAT = 1
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BOOL": "?", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
}  # fmt: skip
_KEY, _NO_DIGEST = "tinygrad_rnn", "0" * 64


def write(path: str | os.PathLike[str], tree: Any, who: str, keep: int = 1) -> Path:
    """Write a tree of dicts, lists, tuples, arrays, numbers, strings and None; returns the path.

    Keys are all strings or, as optimisers number their parameters, all whole numbers.
    The bytes go into a temporary file beside it, then to the disk (fsync), and only then take the
    file's name: whatever happens, the name holds the old content or the new. With `keep` above 1
    the content before lives on as `older(path, 1)`, and so on. Raises CheckpointError, the old
    file untouched, for what cannot be stored or written; `who` opens the message.
    """
    where = f"{who} {os.fspath(path)}"
    target = Path(os.path.realpath(path))
    with _temporary(target, pack(tree, where), where) as made:
        for k in range(keep - 1, 1, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(older(target, k - 1), older(target, k))
        if keep > 1 and target.exists():
            _keep(target, made.with_name(f"{made.stem}.old.tmp"))
        os.replace(made, target)
    return Path(path)


def older(path: Path, k: int) -> Path:
    """The name of what `path` held k writes ago.

    >>> str(older(Path("out/run.safetensors"), 2))
    'out/run.2.safetensors'
    """
    return path.with_name(f"{path.stem}.{k}{path.suffix}") if k else path


def read(path: str | os.PathLike[str], who: str, foreign: bool = False) -> Any:
    """What `write` stored; with `foreign`, another program's safetensors file is a flat dict.

    Raises CheckpointError for a file that is missing, cut, changed in any bit, or not of ours.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise CheckpointError(f"{who} {path}: is no ordinary file")  # a pipe would wait for ever
    try:
        data = Path(path).read_bytes()
    except (OSError, MemoryError) as error:
        raise CheckpointError(f"{who} {path}: cannot be read ({_reason(error)})") from None
    try:
        return unpack(data, foreign)
    except CheckpointError as error:
        raise CheckpointError(f"{who} {path}: {error}") from None


# trees and bytes ----------------------------------------------------------------------------


def pack(tree: Any, where: str) -> bytes:
    """The bytes of a file."""
    arrays: dict[str, Array] = {}
    structure = _taken_apart(tree, "", arrays, where)
    head = {"format": FORMAT, "sha256": _NO_DIGEST, "tree": structure}
    data = save(arrays, {_KEY: json.dumps(head)})
    return data.replace(_NO_DIGEST.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def unpack(data: bytes, foreign: bool = False) -> Any:
    """The tree that the bytes of a file hold."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = data[8 : min(end, len(data))]
    # either word makes it ours: no change of one byte may turn off the check
    ours = _KEY.encode() in header or b"sha256" in header
    if not ours and not foreign:
        raise CheckpointError(f"no file of this library, or cut or damaged ({len(data)} bytes)")
    try:
        if not ours:
            return _flat(data)
        head = json.loads(json.loads(header)["__metadata__"][_KEY])
        layout, digest = head["format"], head["sha256"].encode()
        if layout != FORMAT:
            raise CheckpointError(f"its format is {layout!r}, this version reads {FORMAT}")
        blank = data[:end].replace(digest, _NO_DIGEST.encode(), 1) + data[end:]
        if hashlib.sha256(blank).hexdigest().encode() != digest:
            raise CheckpointError("damaged: its bytes do not give the digest they were saved with")
        arrays = dict(load(data))
        tree = _put_together(head["tree"], arrays)
    except CheckpointError:
        raise
    except Exception as error:  # safetensors lets KeyError, TypeError and others through
        raise CheckpointError(f"cut, damaged or malformed ({error!r:.200})") from None
    if arrays:
        raise CheckpointError(f"malformed: nothing in it names the arrays {sorted(arrays)[:5]}")
    return tree


def _flat(data: bytes) -> dict[str, Array]:
    """The arrays of another program's file: bfloat16, the upper half of a float32, as that."""
    found = {}
    for name, view in deserialize(data):  # type: ignore[no-untyped-call]
        if view["dtype"] == "BF16":
            upper = np.frombuffer(view["data"], "<u2").astype(np.uint32)
            array = (upper << np.uint32(16)).view(np.float32)
        elif view["dtype"] in _DTYPES:
            array = np.frombuffer(view["data"], _DTYPES[view["dtype"]])
        else:
            raise CheckpointError(f"{name} holds {view['dtype']} values, which NumPy does not have")
        found[name] = array.reshape(view["shape"])
    return found


def _taken_apart(tree: Any, path: str, arrays: dict[str, Array], where: str) -> Any:
    """The JSON that stands for a tree, its arrays put aside."""
    if isinstance(tree, dict):
        numbers = bool(tree) and all(type(key) is int for key in tree)
        for key in tree:
            if not (numbers or isinstance(key, str)):
                raise CheckpointError(f"{where}: {path or 'the top'} has the key {key!r}, no str")
        inside = {
            k: _taken_apart(v, f"{path}.{k}" if path else k, arrays, where) for k, v in tree.items()
        }
        return {"numbered" if numbers else "dict": inside}
    if isinstance(tree, list | tuple):
        items = [_taken_apart(v, f"{path}.{k}", arrays, where) for k, v in enumerate(tree)]
        return {"tuple": items} if isinstance(tree, tuple) else items
    if hasattr(tree, "detach"):  # a tensor, ours or PyTorch's
        tree = tree.detach()
        tree = (tree.float() if str(tree.dtype) == "torch.bfloat16" else tree).numpy()
    if isinstance(tree, np.ndarray | np.generic):
        if tree.dtype.kind not in "fiub" or tree.dtype.itemsize > 8:
            raise CheckpointError(f"{where}: {path} holds {tree.dtype}, which cannot be stored")
        name = path.encode("utf-8", "backslashreplace").decode()  # lone surrogates
        while name in arrays or name in ("", "__metadata__"):
            name += "_"
        # safetensors 0.8.0 stores arrays that are not C-contiguous wrongly, without a word
        arrays[name] = np.array(tree, dtype=tree.dtype.newbyteorder("="), order="C")
        return {"number" if isinstance(tree, np.generic) else "array": name}
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    raise CheckpointError(
        f"{where}: {path or 'the whole'} is a {type(tree).__name__}; only arrays, numbers, "
        "strings, None, and dicts, lists and tuples of them can be stored"
    )


def _put_together(part: Any, arrays: dict[str, Array]) -> Any:
    """The tree a JSON stands for; takes its arrays out of `arrays`."""
    if isinstance(part, list):
        return [_put_together(p, arrays) for p in part]
    if not isinstance(part, dict):
        return part
    ((kind, value),) = part.items()
    if kind == "dict":
        return {k: _put_together(v, arrays) for k, v in value.items()}
    if kind == "numbered":
        return {int(k): _put_together(v, arrays) for k, v in value.items()}
    if kind == "tuple":
        return tuple([_put_together(v, arrays) for v in value])
    if kind not in ("array", "number"):
        raise CheckpointError(f"malformed: it speaks of a {kind!r}")
    array = arrays.pop(value)
    return array if kind == "array" else array[()]


# files --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _temporary(target: Path, data: bytes, where: str) -> Iterator[Path]:
    """The path of a file beside `target` that holds `data` on the disk, to be renamed inside."""
    if target.exists() and not target.is_file():
        raise CheckpointError(f"{where}: is no ordinary file; give the path of a file")
    made = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        _sweep(target)
        with open(made, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield made
        _sync(target.parent)
    except OSError as error:
        raise CheckpointError(
            f"{where}: cannot be written ({_reason(error)}); what was there before is untouched"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            made.unlink()


def _keep(target: Path, spare: Path) -> None:
    """Give a file its older name, too, so that its own is there at every moment."""
    try:
        os.link(target, spare)
    except OSError:  # a file system without hard links: its own name is missing for a moment
        os.replace(target, older(target, 1))
        return
    os.replace(spare, older(target, 1))
    with contextlib.suppress(FileNotFoundError):
        spare.unlink()  # two names of one file are left as they are by `replace`


def _sweep(target: Path) -> None:
    """Remove what processes left behind that were killed while writing this file."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*-*.tmp"):
        pid = left.name.removeprefix(f".{target.name}.").partition("-")[0]
        if pid.isdecimal() and int(pid) != os.getpid() and not _alive(int(pid)):
            with contextlib.suppress(OSError):
                left.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync(folder: Path) -> None:
    """Have the new name on the disk; a file system that cannot do that for folders is let be."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or repr(error)
