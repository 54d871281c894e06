"""What examples in docstrings may rely on: `tg` and `np`, and every op's example being found."""

import numpy as np
import pytest

import tinygrad_rnn as tg

# doctest looks into functions and classes; an op is an object
tg.ops.__test__ = {n: op.__doc__ for n, op in vars(tg.ops).items() if isinstance(op, tg.op.Op)}


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
