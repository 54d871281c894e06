"""Fixtures for all tests, and the `--long` switch."""

import os
import warnings

import pytest
from hypothesis import settings

import tinygrad_rnn as tg
from tinygrad_rnn.compiler.runtime import threads
from tinygrad_rnn.kernels import ground
from tinygrad_rnn.op import Now, local

# what kernels lean on is tried by tests/test_ground.py, not anew for every cache folder of a test
os.environ[ground.TRYING] = "1"

collect_ignore = ["conformance/narrowed.py"]  # a plugin for a suite that is not installed here

settings.register_profile("ci", derandomize=True, deadline=None, database=None)
settings.load_profile("ci")

with warnings.catch_warnings():  # third-party packages that warn at import: nothing of ours
    warnings.simplefilter("ignore")
    import matplotlib  # noqa: F401


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="many more random cases")
    parser.addoption("--golden", action="store_true", help="write the golden diagrams anew")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--long"):
        short = [item for item in items if "long" not in item.keywords]
        config.hook.pytest_deselected(items=[i for i in items if "long" in i.keywords])
        items[:] = short


@pytest.fixture
def shared_out(monkeypatch):
    """Even the smallest batch is shared out, over two threads if the test says nothing else."""
    monkeypatch.setattr(threads, "LEAST_WORK", 0)
    monkeypatch.setitem(threads._settings, "threads", 2)


@pytest.fixture(autouse=True)
def clean_slate():
    """Each test starts from seed 0 and must leave every switch as it found it."""
    tg.manual_seed(0)
    yield
    fresh = Now()
    for name in Now.__slots__:
        assert getattr(local.now, name) == getattr(fresh, name), f"a test left {name} switched"
