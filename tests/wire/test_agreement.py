"""
Two implementations of the protocol that share no code agree about any bytes.

They are subproxy.wire, on tnetstring3, and guest.minimal, on the standard library alone.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest import minimal
from subproxy.wire.errors import FrameError, MessageError
from subproxy.wire.frames import FrameDecoder
from subproxy.wire.messages import parse
from subproxy.wire.states import SIDES, Role
from tests.fuzz.wire_target import program
from tests.rigs.paths import ROOT

CORPUS = ROOT / "tests" / "corpus" / "wire"
LIMIT = 2048
OF_THE_PROXY = {verb for row in SIDES[Role.PROXY].values() for verb in row}
# A guest that has announced no tunnels need not know their verb.
OF_THE_PROXY -= {b"move"}


def by_wire(data: bytes) -> tuple[list[Any], str]:
    """The frames of C{data} and the code of the error that ended them, or nothing."""
    decoder = FrameDecoder(LIMIT)
    decoder.feed(data)
    frames: list[Any] = []
    try:
        while (frame := decoder.next()) is not None:
            frames.append(frame)
    except FrameError as error:
        return frames, error.code.decode()
    return frames, ""


def by_minimal(data: bytes) -> tuple[list[Any], str]:
    """The same, by the other one."""
    decoder = minimal.Frames(LIMIT)
    decoder.feed(data)
    frames: list[Any] = []
    try:
        while (frame := decoder.next()) is not None:
            frames.append(frame)
    except minimal.Broken as error:
        return frames, error.code.decode()
    return frames, ""


def verdicts(frame: list[Any]) -> tuple[str, str]:
    """What each makes of a frame: a message, none of this version, or the code of an error."""
    try:
        mine = "message" if parse(frame) is not None else "unknown"
    except MessageError:
        mine = "error"
    try:
        other = "message" if minimal.parse(frame) is not None else "unknown"
    except minimal.Broken:
        other = "error"
    return mine, other


class AgreementTests(SynchronousTestCase):
    def _agree(self, data: bytes) -> int:
        frames, error = by_wire(data)
        # repr tells true from 1.
        self.assertEqual(repr((frames, error)), repr(by_minimal(data)), data)
        messages = 0
        for frame in frames:
            if not frame or type(frame[0]) is not bytes or frame[0] in OF_THE_PROXY:
                mine, other = verdicts(frame)
                self.assertEqual(mine, other, frame)
                messages += mine == "message"
        return messages

    def test_corpus(self) -> None:
        """They agree about all that fuzzing has found, as bytes and as programs."""
        messages = 0
        for path in sorted(CORPUS.iterdir()):
            data = path.read_bytes()[1:]
            messages += self._agree(data) + self._agree(program(data))
        self.assertGreater(messages, 300)

    @given(st.one_of(st.binary(max_size=50), st.binary(max_size=50).map(program)))
    def test_any_bytes(self, data: bytes) -> None:
        """They agree about what hypothesis makes up."""
        self._agree(data)
