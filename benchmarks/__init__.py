"""Measures subproxy and its peers side by side: C{python -m benchmarks.bench}."""
