"""Random loop programs, eager against `tg.jit`: drawn, compared, shrunk, printed as Python.

python -m tests.fuzz 0 2000               # these seeds, in the mode Numba is in
NUMBA_DISABLE_JIT=1 python -m tests.fuzz 0 20000 --jobs 2
python -m tests.fuzz 17 18 --show         # print one program

`program` is the program as data, `draw` draws one from a seed (`ops` has the grammar of a step),
`compare` runs it twice, `shrink` makes a failing one small, `found` keeps the smallest program
of every defect that was found.
"""
