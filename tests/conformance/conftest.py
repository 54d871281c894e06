"""What runs other people's tests is no test itself: tools/conformance runs it."""

collect_ignore_glob = ["*.py", "stand_in"]
