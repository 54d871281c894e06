"""Compiler passes, one file a pass; `pipeline` says their order."""
