"""Measures subproxy and its peers side by side: ``python -m benchmarks.bench``."""
