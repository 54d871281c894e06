"""What examples in docstrings may rely on: `tg` and `np`, and every op's example being found."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.op import OPS

# doctest looks into functions and classes; an op is an object
tg.ops.__test__ = {name: op.__doc__ or "" for name, op in OPS.items()}


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Kernels made by tests and examples stay out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYGRAD_RNN_CACHE", str(tmp_path_factory.mktemp("jit")))
        yield


@pytest.fixture(autouse=True)
def names(doctest_namespace):
    """Every example begins with `import numpy as np` and `import tinygrad_rnn as tg`."""
    doctest_namespace.update(np=np, tg=tg)
