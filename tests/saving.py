"""Processes that save checkpoints: killed at any moment, on a full disk, without rights, resumed.

    python -m tests.saving kill FOLDER COUNT | full FOLDER | locked FOLDER
    python -m tests.saving train FOLDER | resume FOLDER

Each prints one line of JSON. What is killed is a fork of a process that has imported everything,
so that hundreds of kills take seconds.
"""

import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim, train
from tinygrad_rnn.errors import CheckpointError

# kills ------------------------------------------------------------------------------------------


def parts(n, size=200):
    """A model and an optimiser that hold nothing but the number n, half a megabyte."""
    model = nn.Linear(size, size)
    for p in model.parameters():
        p.assign_(np.full(p.shape, n))
    optimizer = optim.Adam(model.parameters())
    return {"model": model, "optimizer": optimizer}


def save_for_ever(path, n, report):
    """Save n, n + 1, ... and report each when it is saved."""
    while True:
        train.save(path, settings={"n": n}, keep=3, **parts(n))
        os.write(report, n.to_bytes(8, "little"))
        n += 1


def killed(path, n, wait):
    """Let a child save from n on, kill it after a while; the last number that it reported."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        save_for_ever(path, n, writing)
    os.close(writing)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reports = b""
    while part := os.read(reading, 1 << 16):
        reports += part
    os.close(reading)
    return int.from_bytes(reports[-8:], "little") if reports else n - 1


def kill(folder, count):
    """Kill saves at random moments; after each the last reported one, or a newer one, is there."""
    path, chance = Path(folder) / "run.safetensors", random.Random(0)
    n, caught, saved = 1, 0, 0
    train.save(path, settings={"n": 0}, keep=3, **parts(0))
    for _ in range(count):
        last = killed(path, n, chance.uniform(0.0, 0.1))
        caught += bool(list(path.parent.glob(".run.safetensors.*")))
        made = parts(-1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # the file itself must be there and whole
            found = train.load(path, **made)["n"]
        assert last <= found <= last + 1, (last, found)
        assert all((p.numpy() == found).all() for p in made["model"].parameters())
        older = [train.load(p, **made)["n"] for p in train.checkpoint.files(path)]
        assert older == sorted(older, reverse=True), older
        assert len(older) >= 2, older  # a kill between two renames leaves one fewer for a while
        saved, n = saved + found + 1 - n, found + 1
    train.save(path, settings={"n": n}, keep=3, **parts(n))
    left = [p.name for p in path.parent.iterdir() if p.name.startswith(".")]
    return {"kills": count, "in the middle of a save": caught, "saved": saved, "left": left}


# disks ------------------------------------------------------------------------------------------


def refused(path, before):
    """Try to save; what is said, and whether all files are as they were."""
    try:
        train.save(path, settings={"n": 2}, **parts(2))
    except CheckpointError as error:
        now = {p.name: p.read_bytes() for p in path.parent.iterdir()}
        return {"error": str(error), "untouched": now == before}
    return {"error": None}


def full(folder):
    """Save where a file may grow to 100 kB only."""
    path = train.save(Path(folder) / "run.safetensors", settings={"n": 1}, **parts(1))
    before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    return refused(path, before)


def locked(_):
    """Save into a folder without the right to write, one that others than root may enter."""
    with tempfile.TemporaryDirectory() as folder:
        path = train.save(Path(folder) / "run.safetensors", settings={"n": 1}, **parts(1))
        before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
        path.parent.chmod(0o555)
        if os.getuid() == 0:  # root may write anywhere
            os.seteuid(65534)
        try:
            return refused(path, before)
        finally:
            os.seteuid(os.getuid())
            path.parent.chmod(0o755)


# resuming ---------------------------------------------------------------------------------------

UPDATES, CUTS = 6, (1, 3, 5)


class Layers(nn.Module):
    """Two layers, both directions, dropout between them and of a generator of its own."""

    def __init__(self, seed):
        g = tg.Generator(seed)
        self.net = nn.LSTM(2, 3, num_layers=2, bidirectional=True, dropout=0.2, generator=g)
        self.drop, self.head = nn.Dropout(0.3, generator=g), nn.Linear(6, 1, generator=g)

    def forward(self, x, h):
        return self.head(self.drop(self.net(x)[0])), h


class Loop(nn.Module):
    """A GRU cell in a plain loop that carries its state from batch to batch."""

    def __init__(self, seed):
        g = tg.Generator(seed)
        self.cell, self.head = nn.GRUCell(2, 3, generator=g), nn.Linear(3, 1, generator=g)

    def forward(self, x, h):
        states = []
        for x_t in x:
            h = self.cell(tg.dropout(x_t, 0.1), h)
            states.append(h)
        return self.head(tg.stack(states)), h


class Tanh(Loop):
    """The same in float64 with a tanh cell and a weight that is shared."""

    def __init__(self, seed):
        super().__init__(seed)
        self.cell = nn.RNNCell(2, 3, generator=tg.Generator(seed))
        self.tied = [self.head]
        self.astype("float64")


MODELS = {"layers": Layers, "loop": Loop, "tanh": Tanh}
JITTED = {"loop"}
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, weight_decay=0.01),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.05),
    "Adam": lambda p: optim.Adam([{"params": p[:2], "lr": 0.1}, {"params": p[2:]}], lr=0.02),
    "AdamW": lambda p: optim.AdamW(p, lr=0.02, betas=(0.8, 0.95)),
}


def made(model, optimizer, seed):
    """Everything that takes part in a run, and its carried state."""
    net = MODELS[model](seed)
    opt = OPTIMIZERS[optimizer](net.parameters())
    schedule = optim.lr_scheduler.StepLR(opt, 2, gamma=0.5)
    data = train.StreamBatches(stream(net), lanes=3, steps=4)
    taking_part = {"model": net, "optimizer": opt, "schedule": schedule, "data": data}
    return taking_part, tg.zeros(3, 3, dtype=net.head.weight.dtype)


def stream(net):
    """A long stream in the net's dtype."""
    return np.sin(np.arange(400.0)).reshape(200, 2).astype(net.head.weight.dtype)


def go(taking_part, h, name, updates):
    """Yield (updates done, carried state, loss)."""
    net, data = taking_part["model"], taking_part["data"]

    def loss_of(x, h):
        y, h = net(x, h)
        return (y * y).mean(), h

    run = tg.jit(loss_of) if name in JITTED else loss_of
    for k in updates:
        loss, h = run(data.take(), h)
        h = train.detach(h)
        taking_part["optimizer"].zero_grad()
        loss.backward()
        taking_part["optimizer"].step()
        taking_part["schedule"].step()
        yield k + 1, h, loss.item()


def pairs(folder):
    """Every model with every optimiser, and the name of its files."""
    for name in MODELS:
        for optimizer in OPTIMIZERS:
            yield name, optimizer, f"{folder}/{name}_{optimizer}"


def end(taking_part, losses):
    """What must come out the same: losses, parameters, and the next random numbers."""
    arrays = taking_part["model"].state_dict().values()
    return [losses, [a.tobytes().hex() for a in arrays], tg.rand(2).tolist()]


def train_all(folder):
    """Train without a break, with a checkpoint at every cut."""
    found = {}
    for name, optimizer, file in pairs(folder):
        tg.manual_seed(5)
        taking_part, h = made(name, optimizer, seed=1)
        losses = []
        for done, state, loss in go(taking_part, h, name, range(UPDATES)):
            losses.append(loss)
            if done in CUTS:
                settings = {"done": done, "h": state, "losses": losses}
                train.save(f"{file}_{done}.safetensors", settings=settings, **taking_part)
        found[f"{name} {optimizer}"] = end(taking_part, losses)
    return found


def resume_all(folder):
    """Go on from every cut, with parts made of other numbers."""
    found = {}
    for name, optimizer, file in pairs(folder):
        for cut in CUTS:
            tg.manual_seed(99)
            taking_part, _ = made(name, optimizer, seed=7)
            settings = train.load(f"{file}_{cut}.safetensors", **taking_part)
            losses, h = settings["losses"], tg.tensor(settings["h"])
            for _, _, loss in go(taking_part, h, name, range(settings["done"], UPDATES)):
                losses.append(loss)
            found[f"{name} {optimizer} {cut}"] = end(taking_part, losses)
    return found


COMMANDS = {"full": full, "locked": locked, "train": train_all, "resume": resume_all}

if __name__ == "__main__":
    what, place, *more = sys.argv[1:]
    print(json.dumps(kill(place, int(more[0])) if what == "kill" else COMMANDS[what](place)))
