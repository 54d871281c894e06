"""A pytest plugin: which of other people's tests are left out, each with its reason.

The file that LEFT_OUT names has the reasons as lines from "# " on, and under each the names of
tests that it holds for, as shell patterns.
"""

import os
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

FILE = Path(os.environ["LEFT_OUT"])


def excluded() -> dict[str, list[str]]:
    """Patterns of test names by the reason why they do not apply here."""
    found: dict[str, list[str]] = {}
    for line in FILE.read_text().splitlines():
        if line.startswith("# "):
            patterns = found.setdefault(line[2:], [])
        elif line:
            patterns.append(line)
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is excluded as skipped, with its reason; a pattern that finds nothing raises."""
    for reason, patterns in excluded().items():
        for pattern in patterns:
            hit = [item for item in items if fnmatchcase(item.nodeid, f"*{pattern}")]
            if not hit:
                raise pytest.UsageError(f"{FILE.name}: {pattern} names no test")
            for item in hit:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Count what was left out, by reason."""
    skips = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skips)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:5} left out: {reason}")
