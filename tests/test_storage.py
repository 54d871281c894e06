"""Files of states: what goes in comes out, and no damaged file does."""

import hashlib
import json
import os
import stat

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from safetensors import safe_open
from safetensors.numpy import save

from tinygrad_rnn import storage
from tinygrad_rnn.errors import CheckpointError

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f4", ">i8"]
numbers = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
one_array = st.sampled_from(DTYPES).flatmap(
    lambda d: arrays.arrays(d, arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
trees = st.recursive(
    st.one_of(numbers, one_array, one_array.map(lambda a: a.T[..., ::-1] if a.ndim else a[()])),
    lambda t: st.one_of(
        st.dictionaries(st.text(max_size=4), t, max_size=3),
        st.lists(t, max_size=3),
        st.lists(t, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


def same(a, b):
    """Equal to the last bit, of the same types; byte order is the machine's."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert list(a) == list(b)
        return all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray | np.generic):
        native = a.astype(a.dtype.newbyteorder("="))
        assert native.dtype == b.dtype
        assert native.shape == b.shape
        return native.tobytes() == b.tobytes()
    return a == b or (a != a and b != b)


@given(trees)
def test_what_goes_in_comes_out(tree):
    assert same(tree, storage.unpack(storage.pack(tree, "save x")))


def test_other_programs_read_the_arrays_and_we_read_theirs(tmp_path):
    path = tmp_path / "a.safetensors"
    weights = {"w": np.arange(6.0).reshape(2, 3).T, "net.b": np.float32([1, 2])}
    storage.write(path, weights, "save")
    with safe_open(path, "np") as file:
        assert {k: file.get_tensor(k).tolist() for k in file.keys()} == {  # noqa: SIM118
            k: v.tolist() for k, v in weights.items()
        }
    path.write_bytes(save({"w": np.ones(3)}))
    assert same(storage.read(path, "load", foreign=True), {"w": np.ones(3)})
    with pytest.raises(CheckpointError, match=r"load .*a.safetensors: no file of this library"):
        storage.read(path, "load")


CANNOT = [
    ({"a": {1: 2, "b": 3}}, "a has the key 1, no str"),
    ({"a": np.ones(2, complex)}, "a holds complex128"),
    ({"a": [1, np.array(["x"])]}, "a.1 holds <U1"),
    ({"a": {"b": object()}}, "a.b is a object; only arrays"),
    (np.longdouble(1), r"holds .*, which cannot be stored"),
]


@pytest.mark.parametrize(("tree", "message"), CANNOT)
def test_what_cannot_be_stored_is_refused_and_the_old_file_stays(tree, message, tmp_path):
    path = storage.write(tmp_path / "a.st", {"x": 1}, "save")
    with pytest.raises(CheckpointError, match=message):
        storage.write(path, tree, "save")
    assert storage.read(path, "load") == {"x": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.st"]


def test_files_of_one_name_are_kept_in_turn(tmp_path):
    path = tmp_path / "a.st"
    for n in range(5):
        storage.write(path, n, "save", keep=3)
        kept = [storage.read(storage.older(path, k), "load") for k in range(min(n + 1, 3))]
        assert kept == list(range(n, max(n - 3, -1), -1))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.1.st", "a.2.st", "a.st"]
    os.unlink(storage.older(path, 1))
    os.link(path, storage.older(path, 1))  # as a kill in the middle leaves it
    storage.write(path, 5, "save", keep=2)
    assert storage.read(storage.older(path, 1), "load") == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.1.st", "a.2.st", "a.st"]


def test_without_hard_links_the_last_files_are_kept_too(tmp_path, monkeypatch):
    def link(*names):
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    for n in range(3):
        storage.write(tmp_path / "a.st", n, "save", keep=2)
    assert storage.read(tmp_path / "a.1.st", "load") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.1.st", "a.st"]


def test_the_file_has_the_rights_the_umask_gives_and_links_stay_links(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "a.st"
    link.symlink_to(tmp_path / "there" / "b.st")
    storage.write(link, 1, "save")
    assert link.is_symlink()
    mode = stat.S_IMODE((tmp_path / "there" / "b.st").stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    assert mode == 0o666 & ~umask


def test_what_killed_writers_left_is_swept_and_living_ones_keep_theirs(tmp_path):
    dead = tmp_path / f".a.st.{2**22 + 1}-7.tmp"  # above the largest process number
    living = tmp_path / f".a.st.{os.getppid()}-7.tmp"
    for p in (dead, living):
        p.touch()
    storage.write(tmp_path / "a.st", 1, "save")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([living.name, "a.st"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/dev/full", "is no ordinary file"),
        (".", "is no ordinary file"),
        ("none/a.st", "cannot be written .No such file"),
    ],
)
def test_places_that_cannot_be_written(name, message, tmp_path):
    with pytest.raises(CheckpointError, match=message):
        storage.write(tmp_path / name, 1, "save")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_every_changed_byte_and_every_length_is_noticed():
    data = storage.pack({"w": np.arange(3, dtype=np.float32), "n": 7}, "save")
    for k in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[k] ^= 1 << bit
            for foreign in (False, True):
                with pytest.raises(CheckpointError):
                    storage.unpack(bytes(changed), foreign)
        with pytest.raises(CheckpointError):
            storage.unpack(data[:k])
    with pytest.raises(CheckpointError, match="damaged"):
        storage.unpack(data + b"\0")


def signed(arrays, head):
    """A file whose digest is right, whatever it says."""
    data = save(arrays, {storage._KEY: json.dumps({"format": 1, "sha256": "0" * 64, **head})})
    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


MALFORMED = [
    ({}, {"format": 2, "tree": 1}, "its format is 2, this version reads 1"),
    ({}, {}, "malformed"),
    ({}, {"tree": {"array": "w"}}, "malformed"),
    ({"w": np.ones(1)}, {"tree": 1}, r"nothing in it names the arrays \['w'\]"),
    ({"w": np.ones(1)}, {"tree": [{"array": "w"}, {"array": "w"}]}, "malformed"),
    ({}, {"tree": {"module": "os"}}, "it speaks of a 'module'"),
    ({}, {"tree": {"dict": {}, "list": []}}, "malformed"),
    ({}, {"tree": {"tuple": 5}}, "malformed"),
    ({}, {"tree": {}}, "malformed"),
]


@pytest.mark.parametrize(("arrays", "head", "message"), MALFORMED)
def test_malformed_files_with_the_right_digest(arrays, head, message):
    with pytest.raises(CheckpointError, match=message):
        storage.unpack(signed(arrays, head))


def test_a_file_as_deep_as_can_be_is_refused():
    deep = "[" * 100_000 + "]" * 100_000
    data = save({}, {storage._KEY: f'{{"format": 1, "sha256": "{"0" * 64}", "tree": {deep}}}'})
    data = data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)
    with pytest.raises(CheckpointError, match="malformed"):
        storage.unpack(data)


def test_names_of_any_text_can_be_stored():
    tree = {
        "\ud800": np.ones(1),
        "": np.zeros(1),
        "__metadata__": np.ones(2),
        "a": {"": np.ones(3)},
        "numbered": {0: np.ones(1), -7: {"b": [1]}},
    }
    assert same(tree, storage.unpack(storage.pack(tree, "save")))
