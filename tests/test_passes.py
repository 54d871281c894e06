"""Compiler passes one by one, on small programs; the verifier, with each of its rules broken."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.ir_programs import arrays, computed, value
from tinygrad_rnn.compiler.inference import make
from tinygrad_rnn.compiler.ir import Carry, Instr, Loop, Program, Slice, Value
from tinygrad_rnn.compiler.lowering.table import lower
from tinygrad_rnn.compiler.passes.cse import cse
from tinygrad_rnn.compiler.passes.dce import dce
from tinygrad_rnn.compiler.passes.expand import expand, expand_early
from tinygrad_rnn.compiler.passes.fuse import fuse, last_rows
from tinygrad_rnn.compiler.passes.licm import licm
from tinygrad_rnn.compiler.passes.merge_products import merge_products, split_concats
from tinygrad_rnn.compiler.passes.pipeline import optimize
from tinygrad_rnn.compiler.passes.simplify import simplify
from tinygrad_rnn.compiler.passes.structure import structure
from tinygrad_rnn.compiler.passes.verify import Verifier, VerifyError

T, B, H = 8, 2, 3


class Cell:
    """h = tanh(x[t] @ U + h @ W) over T steps, its states stacked; parts to be broken or added to."""

    def __init__(self, T: int = T, B: int = B) -> None:
        self.x, self.U, self.W, self.h0 = value(T, B, H), value(H, H), value(H, H), value(B, H)
        self.loop = Loop(T)
        self.x_t, self.h = value(B, H), value(B, H)
        self.a = self.emit("matmul", self.x_t, self.U)
        self.b = self.emit("matmul", self.h, self.W)
        self.y = self.emit("tanh", self.emit("add", self.a, self.b))
        self.slice = Slice(self.x_t, self.x)
        self.carry = Carry(self.h, self.y, 1, (self.h0,))
        self.loop.params = [self.slice, self.carry]
        self.states = self.loop.result("stack", (self.y,))
        inputs = [self.x, self.U, self.W, self.h0]
        self.program = Program(inputs, [self.loop], [self.states])

    def emit(self, op: str, *inputs: Any, **attrs: Any) -> Value:
        self.loop.body.append(make(op, inputs, attrs))
        return self.loop.body[-1].out

    def after(self, op: str, *inputs: Any, **attrs: Any) -> Value:
        self.program.items.append(make(op, inputs, attrs))
        self.program.outputs = [self.program.items[-1].out]  # type: ignore[union-attr]
        return self.program.outputs[0]

    def values(self, rewrite: Any) -> list[str]:
        """Ops behind the state's once the pass has run; the outputs are what they were."""
        given = arrays(self.program.inputs)
        [before] = computed(self.program, given)
        rewrite(self.program)
        [after] = computed(self.program, given)
        assert np.allclose(after, before, rtol=1e-14)
        return self.ops()[1][4:]

    def ops(self) -> tuple[list[str], list[str]]:
        """Names of the ops outside of the loop, and of those of its body."""
        Verifier().check(self.program)
        outside = [i.op.name for i in self.program.items if isinstance(i, Instr)]
        return outside, [i.op.name for i in self.loop.body]


def test_a_program_is_printed() -> None:
    assert str(Cell().program).splitlines() == [
        "inputs: %0 float64[8, 2, 3], %1 float64[3, 3], %2 float64[3, 3], %3 float64[2, 3]",
        "loop of 8 steps:",
        "    %4 = %0[t]                               float64[2, 3]",
        "    %6 = carry %5, from %3                   float64[2, 3]",
        "    %7 = matmul(%4, %1)                      float64[2, 3]",
        "    %8 = matmul(%6, %2)                      float64[2, 3]",
        "    %9 = add(%7, %8)                         float64[2, 3]",
        "    %5 = tanh(%9)                            float64[2, 3]",
        "    -> %10 = stack of %5                     float64[8, 2, 3]",
        "outputs: %10",
    ]


def test_dce_drops_what_nobody_reads() -> None:
    cell = Cell()
    cell.emit("exp", cell.y)
    cell.program.items.insert(0, make("exp", (cell.x,), {}))
    dce(cell.program)
    assert cell.ops() == ([], ["matmul", "matmul", "add", "tanh"])


def test_cse_computes_a_value_once() -> None:
    cell = Cell()
    z = cell.emit("mul", cell.emit("exp", cell.y), cell.emit("exp", cell.y))
    cell.program.outputs = [cell.loop.result("stack", (z,))]
    cse(cell.program)
    assert cell.ops()[1] == ["matmul", "matmul", "add", "tanh", "exp", "mul"]


def test_cse_tells_long_arrays_apart() -> None:
    cell, rows = Cell(), np.zeros(2000, int)
    others = rows.copy()
    others[1000] = 1  # where repr writes ...
    parts = [cell.emit("gather", cell.y, key=(key,)) for key in (rows, others)]
    cell.program.outputs = [cell.loop.result("total", (cell.emit("sub", *parts),))]
    cse(cell.program)
    assert cell.ops()[1][-3:] == ["gather", "gather", "sub"]


def test_simplify_names_a_value_once() -> None:
    cell = Cell()
    whole = cell.emit("index", cell.emit("pow", cell.y, 2), key=())
    cell.program.outputs = [cell.loop.result("final", (whole,))]
    simplify(cell.program)
    dce(cell.program)
    assert cell.ops()[1] == ["matmul", "matmul", "add", "tanh", "square"]


def test_licm_moves_out_what_no_step_changes() -> None:
    cell = Cell()
    z = cell.emit("mul", cell.y, cell.emit("exp", cell.h0))
    cell.program.outputs = [cell.loop.result("stack", (z,))]
    licm(cell.program)
    assert cell.ops() == (["exp"], ["matmul", "matmul", "add", "tanh", "mul"])


def test_products_of_one_left_operand_become_one() -> None:
    cell = Cell()
    z = cell.emit("add", cell.y, cell.emit("matmul", cell.h, cell.U))
    cell.program.outputs = [cell.loop.result("stack", (z,))]
    assert merge_products(cell.program) == ["2 products of one left operand became one"]
    assert cell.ops()[0] == ["concat"]
    assert cell.ops()[1].count("matmul") == 2


def test_a_product_of_a_concat_is_split() -> None:
    cell = Cell()
    W = value(2 * H, H)
    cell.program.inputs.append(W)
    z = cell.emit("matmul", cell.emit("concat", cell.x_t, cell.h, axis=1), W)
    cell.program.outputs = [cell.loop.result("final", (z,))]
    split_concats(cell.program)
    dce(cell.program)
    assert cell.ops()[1][-5:] == ["index", "matmul", "index", "matmul", "add"]


def test_a_sum_of_the_states_moves_into_the_loop() -> None:
    cell = Cell()
    cell.after("sum", cell.after("square", cell.states), axis=None, keepdims=False)
    assert fuse(cell.program) == ["square, sum of stacked results moved into the loop"]
    assert cell.ops() == ([], ["matmul", "matmul", "add", "tanh", "square", "sum"])


def test_the_last_state_is_not_cut_out_of_all() -> None:
    cell = Cell()
    cell.after("index", cell.states, key=(-1,))
    last_rows(cell.program)
    simplify(cell.program)
    dce(cell.program)
    assert [r.kind for r in cell.loop.results] == ["final"]


def test_ops_are_written_in_those_that_have_code() -> None:
    cell = Cell()
    z = cell.emit("softmax", cell.emit("silu", cell.y), axis=0)
    cell.program.outputs = [cell.loop.result("stack", (z,))]
    assert cell.values(expand) == ["sigmoid", "mul", "max", "sub", "exp", "sum", "div"]


def test_rows_have_a_kernel_of_their_own() -> None:
    cell = Cell()
    z = cell.emit("softmax", cell.y, axis=1)
    cell.program.outputs = [cell.loop.result("stack", (z,))]
    assert cell.values(expand) == ["softmax"]


def test_what_has_no_gradient_rule_of_use_goes_before_it_is_asked() -> None:
    cell = Cell()
    row = cell.emit("index", cell.y, key=(0, None))
    z = cell.emit("softmax", cell.emit("stack", row, row, axis=0), axis=0)
    cell.program.outputs = [cell.loop.result("stack", (z,))]
    assert cell.values(expand_early) == [
        "index",
        "reshape",
        "reshape",
        "reshape",
        "concat",
        "softmax",
    ]


def read_too_early(cell: Cell) -> None:
    cell.loop.body.reverse()


def defined_twice(cell: Cell) -> None:
    cell.loop.body.append(cell.loop.body[-1])


def another_shape_than_the_rules(cell: Cell) -> None:
    cell.b.shape = (B, 1)


def operands_of_two_dtypes(cell: Cell) -> None:
    cell.U.dtype = np.dtype(np.float32)


def operands_that_need_a_cast(cell: Cell) -> None:
    cell.a.dtype = np.dtype(np.int64)
    cell.loop.body.pop(0)
    cell.slice.out = cell.a
    cell.x.dtype = np.dtype(np.int64)


def a_parameter_twice(cell: Cell) -> None:
    cell.loop.params.append(cell.slice)


def a_result_twice(cell: Cell) -> None:
    cell.loop.results.append(cell.loop.results[0])


def a_slice_of_nothing(cell: Cell) -> None:
    cell.slice.source = value(T, B, H)


def a_first_state_of_nothing(cell: Cell) -> None:
    cell.carry.first = (value(B, H),)


def a_first_row_of_nothing(cell: Cell) -> None:
    cell.loop.results[0].lag, cell.loop.results[0].first = 1, (value(B, H),)


def too_few_first_rows(cell: Cell) -> None:
    cell.loop.results[0].lag = 1


def a_product_of_another_shape(cell: Cell) -> None:
    cell.loop.result("product", (cell.x_t, cell.y)).shape = (B, H)


def rows_of_another_shape(cell: Cell) -> None:
    cell.loop.result("row_sum", (cell.y,)).shape = (B, H)


def a_slice_out_of_range(cell: Cell) -> None:
    cell.slice.start = 1


def a_slice_of_another_type(cell: Cell) -> None:
    cell.slice.out.shape = (B, 1)


def too_few_initial_values(cell: Cell) -> None:
    cell.carry.delay = 2


def a_carry_of_another_type(cell: Cell) -> None:
    cell.carry.of = cell.U


def a_carry_of_nothing(cell: Cell) -> None:
    cell.carry.of = value(B, H)


def a_result_of_nothing(cell: Cell) -> None:
    cell.loop.results[0].values = (value(B, H),)


def a_result_from_outside(cell: Cell) -> None:
    cell.loop.results[0].values = (cell.carry.first[0],)


def a_carry_from_outside(cell: Cell) -> None:
    cell.carry.of = cell.carry.first[0]


def a_result_of_another_type(cell: Cell) -> None:
    cell.states.shape = (T - 1, B, H)


def an_output_that_nobody_made(cell: Cell) -> None:
    cell.program.outputs = [value(B, H)]


FAULTS = {
    read_too_early: "tanh reads .* not defined before it",
    defined_twice: "defined twice",
    another_shape_than_the_rules: r"matmul is <float64\[2, 1\]>, by its op's rule float64\[2, 3\]",
    operands_of_two_dtypes: "matmul: .*inputs are float.* and float",
    operands_that_need_a_cast: "add: its operands differ in dtype",
    a_parameter_twice: "defined twice",
    a_result_twice: "defined twice",
    a_slice_of_nothing: "a slice reads",
    a_first_state_of_nothing: "a carry reads",
    a_first_row_of_nothing: "a stack reads",
    too_few_first_rows: "a stack of 1 steps ago has 0 initial values",
    a_product_of_another_shape: "a product is",
    rows_of_another_shape: "a row_sum is",
    a_slice_out_of_range: "reads its rows 1 to 8",
    a_slice_of_another_type: "a slice is",
    too_few_initial_values: "a carry over 2 steps has 1 initial values",
    a_carry_of_another_type: "a carry is",
    a_carry_of_nothing: "a carry reads",
    a_result_of_nothing: "a stack reads",
    a_result_from_outside: "a stack reads",
    a_carry_from_outside: "a carry reads",
    a_result_of_another_type: "a stack is",
    an_output_that_nobody_made: "an output reads",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_the_verifier_sees(fault: Any) -> None:
    cell = Cell()
    Verifier().check(cell.program)
    fault(cell)
    with pytest.raises(VerifyError, match=f"^after a pass: .*{FAULTS[fault]}"):
        Verifier().check(cell.program, "a pass")


def test_a_pass_that_breaks_the_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: Program) -> None:
        program.loops[0].body.pop(0)

    monkeypatch.setattr(
        "tinygrad_rnn.compiler.passes.pipeline.BEFORE_DIFFERENTIATION", (cse, wrong, dce)
    )
    with pytest.raises(VerifyError, match="after wrong: add reads"):
        optimize(Cell().program)


def test_a_pass_that_breaks_on_two_equal_sizes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other lengths are not verified again; sizes that are equal, or 1, where they were not are."""

    def wrong(program: Program) -> None:
        loop = program.loops[0]
        if loop.count == loop.body[0].out.shape[0]:
            loop.body.pop(0)

    passes = "tinygrad_rnn.compiler.passes.pipeline.BEFORE_DIFFERENTIATION"
    monkeypatch.setattr(passes, (wrong,))
    checks: list[str] = []
    monkeypatch.setattr(
        Verifier,
        "check",
        lambda self, program, after="", check=Verifier.check: (
            checks.append(after),
            check(self, program, after),
        ),
    )
    for steps in (8, 9, 50):
        optimize(Cell(steps).program)
    assert checks == ["", "wrong"]
    optimize(Cell(8, 1).program)
    assert len(checks) == 4
    with pytest.raises(VerifyError, match="after wrong: add reads"):
        optimize(Cell(9, 9).program)


FACTS: dict[str, Any] = {
    "an op": lambda c: setattr(c.loop.body[3], "op", tg.op.OPS["exp"]),
    "an operand": lambda c: setattr(c.loop.body[1], "inputs", (c.h, c.U)),
    "an attribute": lambda c: c.after("sum", c.states, axis=0, keepdims=False),
    "its value": lambda c: c.after("sum", c.states, axis=2, keepdims=False),
    "a number": lambda c: c.after("mul", c.states, 2.0),
    "a dtype": lambda c: setattr(c.x, "dtype", np.dtype(np.float32)),
    "a need of gradients": lambda c: setattr(c.U, "needs", True),
    "a size of 1": lambda c: setattr(c.x, "shape", (T, 1, H)),
    "an axis": lambda c: setattr(c.x, "shape", (T, B, H, H)),
    "a direction": lambda c: setattr(c.loop, "reverse", True),
    "a start": lambda c: setattr(c.slice, "start", 1),
    "a stride": lambda c: setattr(c.slice, "stride", -1),
    "a carry": lambda c: setattr(c.carry, "of", c.a),
    "a delay": lambda c: setattr(c.carry, "delay", 2),
    "a first state": lambda c: setattr(c.carry, "first", (None,)),
    "a result": lambda c: c.loop.result("final", (c.y,)),
    "its lag": lambda c: setattr(c.loop.results[0], "lag", 1),
    "an output": lambda c: setattr(c.program, "outputs", [c.x]),
    "an input": lambda c: c.program.inputs.append(value(B, H)),
}


def test_a_structure_tells_all_but_sizes() -> None:
    found = {structure(Cell().program): ""}
    for fact, change in FACTS.items():
        cell = Cell()
        change(cell)
        key = structure(cell.program)
        assert key not in found, (fact, found[key])
        found[key] = fact
    assert structure(Cell(9, 5).program) == structure(Cell().program)


def test_the_compiler_asks_for_no_op_by_name() -> None:
    """What one must know of an op is a property of the op, or of its row in `lowering/`."""
    asks = re.compile(
        r"op\.name (==|!=|in|not in) |\.op (is|is not|==|in) (?!\w+\.op\b)"
        r"|op\.name\.(starts|ends)with"
    )
    assert asks.search('if instr.op.name == "take":')
    files = list((Path(tg.__file__).parent / "compiler").rglob("*.py"))
    assert len(files) > 50
    found = [(path.name, line) for path in files for line in path.read_text().splitlines()]
    asked = [pair for pair in found if asks.search(pair[1])]
    assert not asked, f"ask lowering(instr.op) for a property of the row: {asked}"


def test_an_op_has_one_row() -> None:
    with pytest.raises(ValueError, match="take has a row already"):
        lower("take")
