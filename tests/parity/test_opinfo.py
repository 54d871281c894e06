"""PyTorch's own samples of every op that both have: no difference, and each refusal meant."""

from collections import Counter

import pytest
import torch

pytest.importorskip("expecttest")  # PyTorch's samples need it; part of the extra `oracle`

from opinfo import INFOS, verdicts
from opinfo_table import TABLE

pytestmark = pytest.mark.filterwarnings("ignore")
MEANT = {"agrees", "refused", "convention"}
DTYPES = [torch.float64, torch.float32]


def test_every_row_of_the_table_is_an_op_of_pytorchs():
    assert set(TABLE) == set(INFOS)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", sorted(TABLE))
def test_samples(name, dtype):
    found = list(verdicts(name, dtype))
    bad = [(verdict, why) for verdict, why in found if verdict not in MEANT]
    assert not bad, f"{len(bad)} of {len(found)}, first {bad[0]}"
    assert not found or any(verdict == "agrees" for verdict, _ in found)


@pytest.mark.long
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", sorted(TABLE))
def test_reference_samples(name, dtype):
    counts = Counter(verdict for verdict, _ in verdicts(name, dtype, long=True))
    assert set(counts) <= MEANT, counts
