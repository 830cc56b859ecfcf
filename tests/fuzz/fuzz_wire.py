"""
Fuzz the wire: C{python -m tests.fuzz.fuzz_wire CORPUS_DIRECTORY [libFuzzer options]}.

Needs atheris (the C{fuzz} extra). C{tests/corpus/wire} is a seed corpus; what is found goes there
too, and C{tests/wire/test_corpus.py} replays it without atheris.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["subproxy.wire"]):
    import subproxy.wire.connection  # noqa: F401

from tests.fuzz.wire_target import run


def main() -> None:
    """Fuzz until told to stop."""
    atheris.Setup(sys.argv, run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
