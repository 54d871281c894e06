"""What becomes of each function of the corpus: none is wrong, and each says what it is.

`loops`: every loop has code. `op by op`: some loop, or all, runs by eager kernels, and `explain()`
says for which op. `refused`: CaptureError with the line.
"""

import re

import pytest
from corpus import EXAMPLES
from fuzz.compare import differences, run

import tinygrad_rnn as tg
from tinygrad_rnn.compiler.runtime.part import Interpreted
from tinygrad_rnn.compiler.runtime.runner import Runner
from tinygrad_rnn.kernels.flags import DISABLED

OP_BY_OP = {  # and why
    # every step has another shape, or the steps that are left out follow no rule: no loop at all
    "attention_over_the_past": r"6 repeats at .*attention\.py:94 run op by op: stack gives another "
    r"shape in each: \(1, 3, 4\), \(2, 3, 4\)",
    "dice_of_python": r"14 repeats at .*control\.py:224 run op by op: what matmul reads follows no",
}
FLAT = ("attention_over_the_past", "dice_of_python")
REFUSED = {
    "branch_on_a_value": r"asked for at .*control\.py:\d+",
    "until_it_settles": r"asked for at .*control\.py:\d+",
    "greedy_decoding": r"asked for at .*control\.py:\d+",
    "stateful_module": r"Stateful\.h would keep a traced tensor \(.*layers\.py:\d+",
    "states_that_leave_by_a_list": r"kept would keep a traced tensor",
}
WARNED = {"dice_of_python": r"random number of Python's, read at .*control\.py:\d+"}
COMPILED = ("no_state_at_first", "list_of_inputs", "sliding_windows", "cumulative_sum_in_each_step")


def test_the_corpus_is_large() -> None:
    assert len(EXAMPLES) >= 60
    assert {*OP_BY_OP, *REFUSED, *COMPILED} <= set(EXAMPLES)


@pytest.mark.parametrize(
    "name", [n if DISABLED or n in COMPILED else pytest.param(n, marks=pytest.mark.long) for n in EXAMPLES]
)  # fmt: skip
def test_example(name: str) -> None:
    """A few are compiled, since that takes seconds each; all with --long or without Numba."""
    fn, args, parameters = EXAMPLES[name]()
    wanted = run({"args": args, "parameters": parameters}, fn)
    assert wanted.error is None
    fn, args, parameters = EXAMPLES[name]()
    fast = tg.jit(fn)
    found = run({"args": args, "parameters": parameters}, fast)
    if name in REFUSED:
        assert isinstance(found.error, tg.CaptureError)
        assert re.search(REFUSED[name], str(found.error))
        return
    if name in WARNED:
        assert re.search(WARNED[name], found.log[0])
        found.log.clear()
    assert differences(wanted, found) == []
    assert wanted.alive
    steps = fast._last.compiled.forward.steps
    loops = [s for s in steps if isinstance(s, Runner)]
    slow = [s for s in steps if isinstance(s, Interpreted)]
    if name not in OP_BY_OP:
        assert loops
        assert not slow
    else:
        assert not loops
        assert bool(slow) == (name not in FLAT)
        assert re.search(OP_BY_OP[name], fast.explain())
