"""These tests compare with PyTorch and are left out where it is not installed.

`tools/test` says in its last line whether they ran.
"""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["*.py"]
if not importlib.util.find_spec("expecttest"):  # PyTorch's own samples need it
    collect_ignore_glob += ["*opinfo*.py"]
if not importlib.util.find_spec("keras"):
    collect_ignore_glob += ["*keras*.py"]
