"""Replays the corpus of the fuzzer of the wire (tests/fuzz/fuzz_wire.py), without atheris."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.wire_target import run
from tests.rigs.examples import examples
from tests.rigs.paths import ROOT

CORPUS = ROOT / "tests" / "corpus" / "wire"


class CorpusTests(SynchronousTestCase):
    def test_corpus(self) -> None:
        """Each input runs without a finding, in each mode and split."""
        inputs = sorted(CORPUS.iterdir())
        self.assertGreater(len(inputs), 50)
        for path in inputs:
            data = path.read_bytes()
            for mode in {data[0], data[0] ^ 1, data[0] | 0x18, data[0] | 0xF8, data[0] ^ 2}:
                run(bytes([mode]) + data[1:])

    @settings(max_examples=examples(300))
    @given(st.binary(min_size=1, max_size=60))
    def test_any_input(self, data: bytes) -> None:
        """So do a few hundred that hypothesis makes up."""
        run(data)
