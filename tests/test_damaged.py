"""Files that are no checkpoint, or no longer: each is refused and nothing changes.

Also saves that are killed, meet a full disk or a locked folder, and runs that are resumed.
"""

import copy
import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from processes import python
from safetensors.numpy import save
from test_checkpoint import parts, states, trained

from tinygrad_rnn import storage, train
from tinygrad_rnn.errors import CheckpointError


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The bytes of a checkpoint, and what it was made of."""
    path = tmp_path_factory.mktemp("good") / "run.safetensors"
    train.save(path, settings={"epoch": 3}, **trained())
    return path.read_bytes()


def refused(path, message="."):
    """The error of loading a file into parts that stay as they were."""
    made = parts(seed=8)
    before = states(made)
    with pytest.raises(CheckpointError, match=message) as caught:
        train.load(path, **made)
    assert states(made) == before
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_good_file_is_taken(good, tmp_path):
    (tmp_path / "a.st").write_bytes(good)
    assert train.load(tmp_path / "a.st", **parts(seed=8)) == {"epoch": 3}


# bytes ------------------------------------------------------------------------------------------


def headed(header, body=b"", length=None):
    """A safetensors file of any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def signed(header, body=b""):
    """The same, with the digest of ours in place of 64 zeros."""
    data = headed(header, body)
    return data.replace(b"0" * 64, hashlib.sha256(data).hexdigest().encode(), 1)


def ours(head):
    """A header whose metadata is `head`, as text or to be."""
    text = head if isinstance(head, str) else json.dumps(head)
    return {"__metadata__": {"tinygrad_rnn": text}}


def tensor(**other):
    """A header with one tensor of two float32, something else about it."""
    head = ours({"format": 1, "sha256": "0" * 64, "tree": {"dict": {"w": {"array": "w"}}}})
    return {**head, "w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **other}}


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"w": 1}))
    return buffer.getvalue()


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, w=np.ones(2))
    return buffer.getvalue()


EIGHT, HEAD = b"\0" * 8, {"format": 1, "sha256": "0" * 64, "tree": 1}
BYTES = {
    "empty": b"",
    "one byte": b"{",
    "seven bytes": b"\1" + b"\0" * 6,
    "eight zeros": EIGHT,
    "a length and no header": headed(b"", length=100),
    "a length past the end": headed(ours(HEAD), length=10**6),
    "a length of 2^63": headed(ours(HEAD), length=2**63),
    "a length too short": headed(ours(HEAD), length=20),
    "no UTF-8": headed(b"\xff\xfe" * 9),
    "no JSON": headed(b"tinygrad_rnn = 1 sha256"),
    "a JSON list": headed(b'["tinygrad_rnn", "sha256"]'),
    "a JSON number": headed(b"12"),
    "JSON null": headed(b"null"),
    "JSON of a depth of 100,000": headed(b"[" * 10**5 + b"]" * 10**5 + b"tinygrad_rnn"),
    "no metadata": headed({"tinygrad_rnn": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}),
    "metadata that is a list": headed({"__metadata__": ["tinygrad_rnn"]}),
    "metadata that is a number": headed({"__metadata__": {"tinygrad_rnn": 1}}),
    "another program's file": save({"w": np.ones(2)}),
    "another program's metadata": save({"w": np.ones(2)}, {"format": "pt"}),
    "our metadata, no JSON": signed(ours("sha256=" + "0" * 64)),
    "our metadata, a list": signed(ours([1, "0" * 64])),
    "no format": signed(ours({k: v for k, v in HEAD.items() if k != "format"})),
    "a later format": signed(ours({**HEAD, "format": 2})),
    "a format in words": signed(ours({**HEAD, "format": "one"})),
    "no digest": signed(ours({"format": 1, "tree": 1})),
    "a digest that is a number": signed(ours({**HEAD, "sha256": 7})),
    "a wrong digest": headed(ours({**HEAD, "sha256": "1" * 64})),
    "an empty digest": headed(ours({**HEAD, "sha256": ""})),
    "no tree": signed(ours({"format": 1, "sha256": "0" * 64})),
    "a tree of another kind": signed(ours({**HEAD, "tree": {"import": "os.system"}})),
    "a tree with two tags": signed(ours({**HEAD, "tree": {"dict": {}, "tuple": []}})),
    "a tree without an array": signed(ours({**HEAD, "tree": {"array": "w"}})),
    "a tree of numbered words": signed(ours({**HEAD, "tree": {"numbered": {"a": 1}}})),
    "an array that nothing names": signed({**tensor(), **ours(HEAD)}, EIGHT),
    "a dtype that is not known": signed(tensor(dtype="F33"), EIGHT),
    "a dtype NumPy has not": signed(tensor(dtype="F8_E4M3", shape=[8]), EIGHT),
    "a dtype that is a list": signed(tensor(dtype=["F32"]), EIGHT),
    "a shape of fewer bytes": signed(tensor(shape=[1]), EIGHT),
    "a shape of more bytes": signed(tensor(shape=[3]), EIGHT),
    "a negative shape": signed(tensor(shape=[-2]), EIGHT),
    "a shape that overflows": signed(tensor(shape=[2**40, 2**40]), EIGHT),
    "a shape with a fraction": signed(tensor(shape=[2.0]), EIGHT),
    "no shape": signed(tensor(shape=None), EIGHT),
    "offsets past the end": signed(tensor(data_offsets=[4, 12]), EIGHT),
    "offsets the other way": signed(tensor(data_offsets=[8, 0]), EIGHT),
    "negative offsets": signed(tensor(data_offsets=[-8, 0]), EIGHT),
    "one offset": signed(tensor(data_offsets=[0]), EIGHT),
    "a hole": signed(tensor(data_offsets=[8, 16]), EIGHT * 2),
    "two tensors in one place": signed({**tensor(), "v": tensor()["w"]}, EIGHT),
    "a tensor that is null": signed({**tensor(), "w": None}, EIGHT),
    "bytes behind the end": signed(tensor(), EIGHT + b"\0"),
    "no body": signed(tensor()),
    "a pickle": pickle.dumps({"model": 1}),
    "a file of PyTorch": zipped(),
    "a file of NumPy": npz(),
    "a compressed file": gzip.compress(EIGHT),
    "HDF5": b"\x89HDF\r\n\x1a\n" + EIGHT,
    "a table": b"month,sales\n2001-01,3\n",
    "a page": b"<html>404 Not Found</html>",
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_checkpoint(name, tmp_path):
    path = tmp_path / "run.safetensors"
    path.write_bytes(BYTES[name])
    refused(path)


def test_places_that_hold_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, message in (
        ("none", "does not exist"), ("loop", "does not exist"), (".", "no ordinary file"),
        ("pipe", "no ordinary file"), ("/dev/zero", "no ordinary file"),
    ):  # fmt: skip
        refused(tmp_path / name, message)


# whole files that do not fit ----------------------------------------------------------------------


def put(*path):
    """A change: the last of `path` at the place that the others lead to."""
    *way, last, value = path

    def change(tree):
        for key in way:
            tree = tree[key]
        if value is KeyError:
            del tree[last]
        else:
            tree[last] = value

    return change


W = "head.weight"
CHANGES = {
    "no kinds": put("kinds", KeyError),
    "no random states": put("random", KeyError),
    "no settings": put("settings", KeyError),
    "kinds that are a list": put("kinds", ["model"]),
    "settings that are a number": put("settings", 3),
    "random states that are None": put("random", None),
    "a generator too many": put("random", "other", [1, 2]),
    "a generator too few": put("random", "default", KeyError),
    "a seed below 0": put("random", "default", [-1, 0]),
    "a seed of 2^64": put("random", "default", [2**64, 0]),
    "a seed that is none": put("random", "default", [1.5, 0]),
    "a counter that is a word": put("random", "default", [1, "2"]),
    "a generator of three numbers": put("random", "model.drop.generator", [1, 2, 3]),
    "no model": put("model", KeyError),
    "no model among the kinds": put("kinds", "model", KeyError),
    "a part of no kind asked for": put("kinds", "other", "Adam"),
    "another optimiser": put("kinds", "optimizer", "AdamW"),
    "another schedule": put("kinds", "schedule", "Optimizer"),
    "a model that is a list": put("model", [1]),
    "a parameter too few": put("model", W, KeyError),
    "a parameter too many": put("model", "other", np.ones(2, np.float32)),
    "a parameter of another shape": put("model", W, np.ones((3, 4), np.float32)),
    "a parameter without axes": put("model", W, np.float32(1)),
    "a parameter of float64": put("model", W, np.ones((3, 3))),
    "a parameter of whole numbers": put("model", W, np.ones((3, 3), np.int32)),
    "a parameter that is a number": put("model", W, 1.0),
    "a parameter that is text": put("model", W, "ones"),
    "a parameter that is None": put("model", W, None),
    "a tied parameter of two values": put("model", "tied.0.weight", np.ones((3, 3), np.float32)),
    "an optimiser that is None": put("optimizer", None),
    "no groups": put("optimizer", "param_groups", KeyError),
    "groups that are a number": put("optimizer", "param_groups", 2),
    "a group too few": put("optimizer", "param_groups", []),
    "a group of fewer parameters": put("optimizer", "param_groups", 0, "params", [0]),
    "a group that names another": put("optimizer", "param_groups", 0, "params", [5] * 6),
    "no learning rate": put("optimizer", "param_groups", 0, "lr", KeyError),
    "a learning rate below 0": put("optimizer", "param_groups", 0, "lr", -1.0),
    "a learning rate of NaN": put("optimizer", "param_groups", 0, "lr", float("nan")),
    "a learning rate in words": put("optimizer", "param_groups", 0, "lr", "fast"),
    "betas of 1": put("optimizer", "param_groups", 0, "betas", (1.0, 1.0)),
    "three betas": put("optimizer", "param_groups", 0, "betas", (0.9, 0.99, 0.999)),
    "moments of another shape": put("optimizer", "state", 0, "exp_avg", np.ones(1, np.float32)),
    "moments that are text": put("optimizer", "state", 0, "exp_avg", "none"),
    "one moment too few": put("optimizer", "state", 0, "exp_avg", KeyError),
    "a state that is a list": put("optimizer", "state", [1, 2]),
    "a schedule without a state": put("schedule", {}),
    "a schedule that is text": put("schedule", "later"),
    "a schedule with more": put("schedule", "other", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_whole_files_that_do_not_fit(name, good, tmp_path):
    tree = copy.deepcopy(storage.unpack(good))
    CHANGES[name](tree)
    path = tmp_path / "run.safetensors"
    storage.write(path, tree, "test")
    refused(path)


def test_the_kinds_of_files_are_as_many_as_promised():
    assert len({*BYTES.values()}) == len(BYTES) >= 40


# damage -----------------------------------------------------------------------------------------


def test_truncations(good, tmp_path):
    path = tmp_path / "run.safetensors"
    for n in np.linspace(0, len(good) - 1, 64).astype(int):
        path.write_bytes(good[:n])
        refused(path, "cut|damaged")


def test_bits_that_flip(good, tmp_path):
    path, chance = tmp_path / "run.safetensors", np.random.default_rng(0)
    header = 8 + int.from_bytes(good[:8], "little")
    for place in [*chance.integers(0, header, 32), *chance.integers(header, len(good), 32)]:
        changed = bytearray(good)
        changed[place] ^= 1 << chance.integers(8)
        path.write_bytes(changed)
        refused(path)


# processes ----------------------------------------------------------------------------------------

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@posix
@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.long)])
def test_kills_lose_nothing(kills, tmp_path):
    found = json.loads(python("-m", "tests.saving", "kill", str(tmp_path), str(kills)))
    assert found["kills"] == kills
    assert found["in the middle of a save"] >= kills // 10
    assert found["saved"] > 0
    assert found["left"] == []


@posix
@pytest.mark.parametrize(
    ("what", "message"), [("full", "File too large"), ("locked", "Permission denied")]
)
def test_a_full_disk_and_a_locked_folder_leave_the_old_file(what, message, tmp_path):
    found = json.loads(python("-m", "tests.saving", what, str(tmp_path)))
    assert f"cannot be written ({message}); what was there before is untouched" in found["error"]
    assert found["untouched"]


def test_runs_resumed_in_fresh_processes_go_on_bit_for_bit(tmp_path):
    whole, resumed = (
        json.loads(python("-m", "tests.saving", command, str(tmp_path)))
        for command in ("train", "resume")
    )
    assert len(whole) == 15
    assert len(resumed) == 45
    for name, end in resumed.items():
        assert end == whole[name.rpartition(" ")[0]], name
    assert len({json.dumps(end[1]) for end in whole.values()}) == 15
