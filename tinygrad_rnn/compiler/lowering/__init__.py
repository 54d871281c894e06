"""What the compiler knows of each op: one row an op, with all that is particular to it.

    @lower(ops.cumsum, shard=rowwise)
    def cumsum(code, instr):
        return [...]        # lines of the kernel

A row says how an op is written (`emit`, `element`, `expand`), for which calls (`supports`),
what becomes of the batch axis (`shard`), and what passes ask for (`is_view`, `sums` ...). No pass
knows an op by its name. An op without a row runs op by op, by its eager kernel.
"""

from . import (  # rows are declared when these load
    lookups as lookups,
    pointwise as pointwise,
    products as products,
    reductions as reductions,
    rows as rows,
    views as views,
)
