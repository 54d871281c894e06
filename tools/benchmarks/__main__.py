"""`tools/bench WHAT [--out FILE.json]`: a table, and every figure in the JSON."""

import argparse
import json
import os
import platform
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"  # before the libraries load: one thread each, or nothing compares


def main() -> None:
    """Run one benchmark."""
    from . import compile, depth, diagrams, eager, jit, kernels, memory, overhead, sentences, tasks

    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    which = parser.add_subparsers(required=True)
    modules = {
        "eager": eager, "jit": jit, "compile": compile, "overhead": overhead, "kernels": kernels,
        "depth": depth, "diagrams": diagrams, "sentences": sentences, "memory": memory,
        "tasks": tasks,
    }  # fmt: skip
    for name, module in modules.items():
        one = which.add_parser(name, help=module.__doc__)
        one.set_defaults(module=module)
        module.add_arguments(one)
        one.add_argument("--out", type=Path, default=Path(f"out/bench_{name}.json"))
    args = parser.parse_args()
    rows = args.module.run(args)
    print(args.module.table(rows))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"machine": platform.processor() or platform.machine(), "cpus": os.cpu_count()}
    args.out.write_text(json.dumps({**machine, "rows": rows}, indent=1))
    print(f"every figure: {args.out}")


if __name__ == "__main__":
    main()
