"""Compiler passes and what they are made of; `pipeline` says the order of those that rewrite."""
