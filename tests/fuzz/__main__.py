"""Command line: compare the programs of many seeds, shrink and print those that differ."""

import argparse
import os
import sys
import tempfile
from collections import Counter
from multiprocessing import Pool
from typing import Any

ATTEMPTS = 30  # draws of one seed until eager code works and some gradient is not zero
LEAST = {"alive": 0.95, "same": 0.9, "with a loop that has code": 0.3}  # shares, or it tells little


def judged(seed: int) -> tuple[Any, Any, Counter[str]]:
    """The first program of a seed that is worth comparing, its verdict, and what was counted."""
    from .compare import judge
    from .loops import trial

    counts: Counter[str] = Counter()
    for attempt in range(ATTEMPTS):
        program = trial(seed, attempt)
        verdict = judge(program.text(), shards=seed % 2 == 1)
        if verdict.kind == "redrawn":
            counts["drawn again: eager code raises or overflows"] += 1
        elif verdict.kind == "same" and not verdict.alive and seed % 30:
            counts["drawn again: no gradient"] += 1
        else:
            break
    counts["programs"] += 1
    counts[verdict.kind] += 1
    counts["alive"] += verdict.alive
    counts["with a loop that has code"] += verdict.loops[0] > 0
    counts["with a loop that runs op by op"] += verdict.loops[1] > 0
    return program, verdict, counts


def one(job: tuple[int, int]) -> tuple[Counter[str], str]:
    """Compare one seed; the report of a program that differs."""
    from .compare import FINE, judge
    from .shrink import shrink

    seed, limit = job
    program, verdict, counts = judged(seed)
    if verdict.kind in FINE:
        return counts, ""

    def fails(smaller: Any) -> bool:
        return judge(smaller.text(), shards=seed % 2 == 1).kind == verdict.kind

    small = shrink(program, fails, limit)
    said = judge(small.text(), shards=seed % 2 == 1).said
    shared = ", shared out over two threads" if seed % 2 else ""
    return counts, f"# seed {seed}{shared}: {said}\n{small.text()}"


def main() -> int:
    """Run; 1 if a program differs or too few were worth comparing."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("first", type=int, help="first seed")
    parser.add_argument("last", type=int, help="the seed after the last")
    parser.add_argument("--compiled", action="store_true", help="through Numba, not plain Python")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--shrink", type=int, default=400, help="programs to try when shrinking")
    parser.add_argument("--show", action="store_true", help="only print the programs")
    options = parser.parse_args()
    os.environ["NUMBA_DISABLE_JIT"] = "0" if options.compiled else "1"
    seeds = range(options.first, options.last)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TINYGRAD_RNN_CACHE"] = folder
        if options.show:
            for seed in seeds:
                program, verdict, _ = judged(seed)
                print(f"# seed {seed}: {verdict.kind} {verdict.said}\n{program.text()}")
            return 0
        return report(seeds, options)


def report(seeds: range, options: Any) -> int:
    """Compare all seeds, and tell."""
    from tqdm import tqdm

    counts: Counter[str] = Counter()
    failures = 0
    jobs = [(seed, options.shrink) for seed in seeds]
    with Pool(options.jobs) as pool:
        bar = tqdm(pool.imap_unordered(one, jobs, 4), total=len(jobs), disable=None)
        for found, text in bar:
            counts += found
            if text:
                failures += 1
                bar.write(text, file=sys.stdout)
                sys.stdout.flush()
    for name, number in sorted(counts.items()):
        print(f"{number:6} {name}")
    few = [name for name, share in LEAST.items() if counts[name] < int(share * len(jobs))]
    print(f"{failures} of {len(jobs)} differ" + "".join(f", and too few are {n}" for n in few))
    return int(failures > 0 or bool(few))


if __name__ == "__main__":
    sys.exit(main())
