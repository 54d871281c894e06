"""train.save and train.load: what fits is taken over whole, what does not changes nothing."""

import os
import shutil
import signal

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.errors import CheckpointError


class Net(nn.Module):
    """A recurrent net with a tied weight, and dropout of a generator of its own."""

    def __init__(self, hidden=3, inputs=2, seed=0):
        g = tg.Generator(seed)
        self.rnn = nn.LSTM(inputs, hidden, generator=g)
        self.drop = nn.Dropout(0.3, generator=g)
        self.head = nn.Linear(hidden, hidden, generator=g)
        self.tied = [self.head]

    def forward(self, x):
        return self.head(self.drop(self.rnn(x)[0]))


def parts(hidden=3, seed=0, kind=optim.Adam, **options):
    model = Net(hidden, seed=seed)
    optimizer = kind(model.parameters(), lr=0.05, **options)
    schedule = optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    return {"model": model, "optimizer": optimizer, "schedule": schedule}


def update(model, optimizer, schedule):
    optimizer.zero_grad()
    loss = (model(tg.dropout(tg.randn(5, 2, 2), 0.2)) ** 2).mean()
    loss.backward()
    optimizer.step()
    schedule.step()
    return loss.item()


def states(parts):
    """Everything that must not change, as bytes."""

    def plain(tree):
        if isinstance(tree, dict):
            return {k: plain(v) for k, v in tree.items()}
        if isinstance(tree, list | tuple):
            return [plain(v) for v in tree]
        return (str(tree.dtype), tree.shape, tree.tobytes()) if hasattr(tree, "dtype") else tree

    found = {k: plain(p.state_dict()) for k, p in parts.items() if hasattr(p, "state_dict")}
    drops = {k: p.drop.generator.state for k, p in parts.items() if isinstance(p, Net)}
    return found, drops, tg.ops.random.default_generator.state


def trained(n=3, **options):
    tg.manual_seed(1)
    made = parts(**options)
    for _ in range(n):
        update(**made)
    return made


@pytest.fixture
def saved(tmp_path):
    """A checkpoint, and the losses that come after it."""
    made = trained()
    path = train.save(
        tmp_path / "run.safetensors", settings={"epoch": 3, "bests": (1.5, None)}, **made
    )
    return path, [update(**made) for _ in range(3)]


def test_a_run_goes_on_bit_for_bit(saved):
    path, losses = saved
    tg.manual_seed(77)
    other = parts(seed=5)
    update(**other)
    assert train.load(path, **other) == {"epoch": 3, "bests": (1.5, None)}
    assert [update(**other) for _ in range(3)] == losses


def test_generators_and_tensors_take_part(tmp_path):
    ours, numpys, h = tg.Generator(3), np.random.default_rng(3), tg.randn(2, 3)
    ours.uniform((2,)), numpys.random(5)
    path = train.save(tmp_path / "a.st", ours=ours, numpys=numpys, settings={"h": (h, [h[0]])})
    expected = ours.uniform((3,)), numpys.random(3)
    ours, numpys = tg.Generator(9), np.random.default_rng(9)
    settings = train.load(path, ours=ours, numpys=numpys)
    assert np.array_equal(settings["h"][0], h.numpy())
    assert np.array_equal(settings["h"][1][0], h.numpy()[0])
    for a, b in zip(expected, (ours.uniform((3,)), numpys.random(3)), strict=True):
        assert np.array_equal(a, b)


def test_weights_alone_with_strict_off(saved):
    path, _ = saved
    model, before = Net(seed=9), tg.ops.random.default_generator.state
    train.load(path, strict=False, model=model)
    assert tg.ops.random.default_generator.state == before
    assert model.drop.generator.state == Net(seed=9).drop.generator.state
    full = parts()
    train.load(path, **full)
    assert np.array_equal(model.head.weight.numpy(), full["model"].head.weight.numpy())


class Picky:
    """A part that refuses late, after it has changed."""

    def __init__(self):
        self.state = 0

    def state_dict(self):
        return {"state": self.state}

    def load_state_dict(self, state):
        self.state = state["state"]
        if self.state == 1:
            raise RuntimeError("not that one")


MISFITS = [
    (lambda: parts(hidden=4), r"model.rnn.weight_ih_l0: \(16, 2\) float32 here, \(12, 2\) float32 there"),
    (lambda: parts(kind=optim.SGD), "optimizer: SGD here, Adam there"),
    (lambda: {k: v for k, v in parts().items() if k != "schedule"}, "left out: the file has schedule, a StepLR"),
    (lambda: {**parts(), "extra": Picky()}, "missing: the file has no extra"),
    (lambda: {**parts(), "model": Net().astype("float64")}, r"model.head.weight: \(3, 3\) float64 here, \(3, 3\) float32 there"),
    (lambda: {**parts(), "model": nn.LSTM(2, 3)}, "model.weight_ih_l0: .* here, missing there"),
    (lambda: {**parts(), "model": nn.Sequential(Net())}, "model.rnn.weight_ih_l0: missing here"),
    (lambda: {**parts(), "schedule": optim.lr_scheduler.LinearWarmup(parts()["optimizer"], 2)}, "schedule: LinearWarmup here, StepLR there"),
    (lambda: {**parts(), "optimizer": optim.Adam([tg.tensor([1.0], requires_grad=True)])}, "optimizer"),
    (lambda: {**parts(), "model": [1]}, "model is a list; a part needs state_dict"),
    (lambda: {**parts(), "random": Net()}, "a part may not be called 'random'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), MISFITS, ids=[m for _, m in MISFITS])
def test_what_does_not_fit_changes_nothing(make, message, saved):
    made = make()
    before = states(made)
    with pytest.raises(CheckpointError, match=message):
        train.load(saved[0], **made)
    assert states(made) == before


def test_a_part_that_refuses_late_takes_the_others_back(tmp_path):
    picky = Picky()
    picky.state = 1
    path = train.save(tmp_path / "a.st", **trained(), picky=picky)
    made = {**parts(seed=4), "picky": Picky()}
    before = states(made)
    with pytest.raises(
        CheckpointError, match=r"picky refuses its state: RuntimeError.'not that one'"
    ):
        train.load(path, **made)
    assert states(made) == before


def test_a_parameter_that_cannot_be_written_leaves_the_others(tmp_path):
    path = train.save(tmp_path / "a.st", model=Net())
    model = Net(seed=4)
    model.head.weight._array.flags.writeable = False
    before = states({"model": model})
    with pytest.raises(CheckpointError, match=r"model refuses its state: .*read-only"):
        train.load(path, model=model)
    assert states({"model": model}) == before


def test_a_scaling_goes_along_among_the_settings(tmp_path):
    path, scaling = tmp_path / "run.safetensors", train.Scaling.fit(np.arange(1.0, 9.0) ** 3, True)
    train.save(path, settings={"scaling": scaling})
    assert train.Scaling(*train.load(path)["scaling"]) == scaling


def test_settings_are_a_dict(tmp_path):
    with pytest.raises(CheckpointError, match="settings must be a dict, got list"):
        train.save(tmp_path / "a.st", settings=[1])


def test_optimisers_of_other_groups_are_told_apart(tmp_path):
    made = trained()
    fewer = {**parts(), "optimizer": optim.Adam(made["model"].parameters()[:2])}
    path = train.save(tmp_path / "a.st", **made)
    before = states(fewer)
    with pytest.raises(CheckpointError, match="optimizer"):
        train.load(path, **fewer)
    assert states(fewer) == before


def test_the_file_before_is_taken_when_the_newest_is_damaged_or_gone(saved):
    path, losses = saved
    made = trained(1)
    train.save(path, settings={"epoch": 9}, **made)
    path.write_bytes(path.read_bytes()[:-7])
    for damage, reason in ((lambda: None, "cut|damaged"), (path.unlink, "does not exist")):
        damage()
        other = parts(seed=3)
        with pytest.warns(
            RuntimeWarning,
            match=rf"run.safetensors: .*({reason}).*; going on from .*run.1.safetensors",
        ):
            assert train.load(path, **other)["epoch"] == 3
        assert [update(**other) for _ in range(3)] == losses
    path.with_name("run.1.safetensors").write_bytes(b"")
    other = parts(seed=3)
    before = states(other)
    with pytest.raises(CheckpointError, match=r"does not exist; .*run.1.*there is no whole file"):
        train.load(path, **other)
    assert states(other) == before


@pytest.mark.parametrize("keep", [0, -1, True, 2.0, None])
def test_how_many_are_kept_must_make_sense(keep, tmp_path):
    with pytest.raises(CheckpointError, match="keep must be a whole number from 1"):
        train.save(tmp_path / "a.st", keep=keep)


def test_a_plain_state_dict_is_no_checkpoint(tmp_path):
    from tinygrad_rnn import storage

    storage.write(tmp_path / "a.st", Net().state_dict(), "tg.save")
    with pytest.raises(CheckpointError, match=r"was not written by train\.save"):
        train.load(tmp_path / "a.st", model=Net())


# the loop -------------------------------------------------------------------------------------


def looped(path, updates, stop=None, **options):
    """What a run logs; `stop` ends it without warning, as a kill does."""
    tg.manual_seed(2)
    made = parts()
    run = train.Run(
        path, updates, every=2, progress=False, settings={"hidden": 3}, **made, **options
    )
    for k in run:
        run.log(loss=update(**made))
        if k == stop:
            return None
    return run.history["loss"]


def test_a_run_that_is_stopped_goes_on_from_its_last_checkpoint(tmp_path):
    whole = looped(tmp_path / "a.st", 7)
    assert len(whole) == 7
    looped(tmp_path / "b.st", 7, stop=4)
    assert looped(tmp_path / "b.st", 7, resume=True) == whole
    assert looped(tmp_path / "b.st", 7, resume=True) == whole
    assert looped(tmp_path / "c.st", 7, resume=True) == whole
    assert looped(None, 7) == whole


def test_a_finished_run_stays_finished(tmp_path):
    def go(resume):
        run = train.Run(tmp_path / "a.st", 10, resume=resume, progress=False)
        for k in run:
            run.log(k=k)
            if k == 3:
                run.finish()
        return run.history["k"]

    assert go(False) == go(True) == [0, 1, 2, 3]


def test_ctrl_c_lets_the_update_end_and_saves(tmp_path):
    path = tmp_path / "a.st"
    after = []

    def go():
        for k in train.Run(path, 10, progress=False):
            if k == 3:
                os.kill(os.getpid(), signal.SIGINT)
            after.append(k)

    with pytest.raises(KeyboardInterrupt):
        go()
    assert after == [0, 1, 2, 3]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert train.Run(path, 10, resume=True, progress=False).done == 4


@pytest.mark.parametrize(
    "bad", [{"updates": -1}, {"updates": 2.5}, {"every": 0}, {"every": 1.5}, {"every": True}]
)
def test_a_run_is_told_what_is_no_count(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name} must be a whole number from"):
        train.Run(None, **{"updates": 3, **bad})


def test_arrays_among_the_settings_of_a_run_are_compared_by_value(tmp_path):
    path, nan = tmp_path / "a.st", float("nan")

    def settings(last, deep=2.0, scale=nan):
        return {
            "mean": np.array([1.0, nan, last]), "scale": scale, "sizes": (3, [4]),
            "deep": [{"w": tg.tensor([1.0, deep])}],
        }  # fmt: skip

    for updates in (2, 4):
        run = train.Run(path, updates, resume=True, settings=settings(3.0), progress=False)
        assert list(run) == [updates - 2, updates - 1]
    others = [settings(4.0), settings(3.0, deep=5.0), settings(3.0, scale=1.0)]
    others += [{**settings(3.0), "mean": v} for v in (1.0, np.ones(2), np.ones(3, "f"), None)]
    others += [{**settings(3.0), "sizes": (3, [4, 5])}, {**settings(3.0), "deep": [{}]}]
    for other in others:
        with pytest.raises(CheckpointError, match="another run"):
            train.Run(path, 4, resume=True, settings=other, progress=False)


def test_a_run_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "a.st"
    looped(path, 2)
    for settings, message in (
        ({"hidden": 4}, "hidden: 4 here, 3 there"),
        ({"hidden": 3, "lr": 1.0}, "lr: 1.0 here, None there"),
    ):
        with pytest.raises(CheckpointError, match=message):
            train.Run(path, 2, resume=True, settings=settings, **parts())
    other = path.with_name("b.st")
    shutil.copy(path, other)
    train.save(other, **parts())
    with pytest.raises(CheckpointError, match=r"no train\.Run"):
        train.Run(other, 2, resume=True, **parts())
