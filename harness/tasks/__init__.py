"""Benchmarks that Winnow brings along, as lmms-eval tasks."""
