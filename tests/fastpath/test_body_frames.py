"""Tests of subproxy.fastpath._body_frames: the frames of bodies, as subproxy.wire has them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from subproxy.wire.errors import WireError
from subproxy.wire.frames import FrameDecoder, decode

NUMBERS = st.integers(1, 10**9)
TOKENS = st.binary(min_size=16, max_size=16)


skip = unavailable()


def spoilt(frame: bytes, at: int, byte: int) -> bytes:
    """C{frame} with one byte changed."""
    at %= len(frame)
    return frame[:at] + bytes([byte]) + frame[at + 1 :]


class BodyFrameTests(SynchronousTestCase):
    @given(NUMBERS, TOKENS, st.integers(0, 10**9))
    def test_what_is_written(self, number: int, token: bytes, length: int) -> None:
        """Byte for byte what the wire writes."""
        from subproxy.fastpath._body_frames import body_frames

        self.assertEqual(
            body_frames(number, token, length),
            (
                m.Connect(number, token).encode(),
                m.End(number).encode(),
                m.End(number, [], {b"length": length}).encode(),
            ),
        )

    @given(NUMBERS, TOKENS, st.binary(max_size=40), st.integers(0, 80), st.integers(0, 255))
    def test_any_connect(self, number: int, token: bytes, rest: bytes, at: int, byte: int) -> None:
        """What is read as a connect is one; a whole one is read, and nothing behind it."""
        from subproxy.fastpath._body_frames import read_connect

        frame = m.Connect(number, token).encode()
        self.assertEqual(read_connect(frame + rest), (len(frame), number, token))
        for cut in range(len(frame)):
            self.assertIsNone(read_connect(frame[:cut]))
        data = spoilt(frame, at, byte) + rest
        found = read_connect(data)
        if found is not None:
            size, number, token = found
            decoder = FrameDecoder(1024)
            decoder.feed(data)
            message = m.parse(decoder.next() or [])
            self.assertEqual(message, m.Connect(number, token))
            self.assertEqual(decoder.pending, len(data) - size)

    @given(
        NUMBERS,
        st.one_of(st.none(), st.integers(0, 10**12)),
        st.lists(st.tuples(st.just(b"a"), st.just(b"b")), max_size=1),
        st.integers(0, 80),
        st.integers(0, 255),
    )
    def test_any_end(
        self,
        number: int,
        length: int | None,
        trailers: list[tuple[bytes, bytes]],
        at: int,
        byte: int,
    ) -> None:
        """Read is what has no trailers; whatever is read, the wire reads the same."""
        from subproxy.fastpath._body_frames import read_end

        info = {} if length is None else {b"length": length}
        frame = m.End(number, trailers, info).encode()
        payload = frame[frame.index(b":") + 1 : -1]
        self.assertEqual(read_end(payload), None if trailers else (number, length))
        changed = spoilt(payload, at, byte)
        found = read_end(changed)
        if found is not None:
            try:
                message = m.parse(decode(b"%d:%b]" % (len(changed), changed)))
            except WireError as error:
                raise AssertionError(f"the wire refuses {changed!r}: {error}") from None
            assert isinstance(message, m.End)
            self.assertEqual((message.exchange, message.info.get(b"length")), found)
            self.assertEqual(message.trailers, [])

    @given(st.integers(1, 2**53 - 1), st.binary(min_size=1, max_size=700))
    def test_a_body_that_is_written(self, number: int, data: bytes) -> None:
        """Byte for byte what the wire writes."""
        from subproxy.fastpath._body_frames import tunnel_frame

        self.assertEqual(tunnel_frame(number, data), m.Body(number, data).encode())

    def test_a_body_of_any_length(self) -> None:
        """Also where the lengths grow by a digit."""
        from subproxy.fastpath._body_frames import tunnel_frame

        for size in (*range(1, 130), *range(900, 1050), *range(9_900, 10_050), 16_384, 65_536):
            data = b"x" * size
            self.assertEqual(tunnel_frame(9, data), m.Body(9, data).encode())

    @given(NUMBERS, st.binary(max_size=40), st.integers(0, 80), st.integers(0, 255))
    def test_any_body(self, number: int, data: bytes, at: int, byte: int) -> None:
        """Read is what is not empty; whatever is read, the wire reads the same."""
        from subproxy.fastpath._body_frames import read_body

        frame = m.Body(number, data).encode()
        payload = frame[frame.index(b":") + 1 : -1]
        self.assertEqual(read_body(payload), (number, data) if data else None)
        changed = spoilt(payload, at, byte)
        found = read_body(changed)
        if found is not None:
            try:
                message = m.parse(decode(b"%d:%b]" % (len(changed), changed)))
            except WireError as error:
                raise AssertionError(f"the wire refuses {changed!r}: {error}") from None
            self.assertEqual(message, m.Body(*found))

    @given(NUMBERS, st.integers(0, 1 << 40), st.integers(0, 40), st.integers(0, 255))
    def test_any_credit(self, number: int, amount: int, at: int, byte: int) -> None:
        """Written as the wire has it; whatever is read, the wire reads the same."""
        from subproxy.fastpath._body_frames import grant_frame, read_credit

        frame = m.Credit(number, amount).encode()
        self.assertEqual(grant_frame(number, amount), frame)
        payload = frame[frame.index(b":") + 1 : -1]
        self.assertEqual(read_credit(payload), (number, amount) if amount else None)
        found = read_credit(spoilt(payload, at, byte))
        if found is not None:
            self.assertEqual(
                decode(b"%d:%b]" % (len(payload), spoilt(payload, at, byte))),
                [b"credit", *found],
            )

    @given(
        NUMBERS,
        st.sampled_from([b"refused", b"error", b""]) | st.binary(max_size=12),
        st.binary(max_size=12),
        st.booleans(),
        st.integers(0, 60),
        st.integers(0, 255),
    )
    def test_any_abort(
        self, number: int, code: bytes, reason: bytes, bare: bool, at: int, byte: int
    ) -> None:
        """With a reason or without: whatever is read, the wire reads the same."""
        from subproxy.fastpath._body_frames import read_abort

        frame = m.Abort(number, code, reason).encode()
        payload = frame[frame.index(b":") + 1 : -1]
        self.assertEqual(read_abort(payload), (number, code, reason) if code else None)
        if bare:
            payload = payload[: len(payload) - len(b"%d:%b," % (len(reason), reason))]
        for each in (payload, spoilt(payload, at, byte)):
            found = read_abort(each)
            if found is not None:
                try:
                    message = m.parse(decode(b"%d:%b]" % (len(each), each)))
                except WireError as error:
                    raise AssertionError(f"the wire refuses {each!r}: {error}") from None
                self.assertEqual(message, m.Abort(*found))


class AnnouncedBodyTests(SynchronousTestCase):
    def test_keys_in_any_order(self) -> None:
        """What a guest says of a body that comes over a data connection is a dictionary."""
        from subproxy.fastpath._response import announced_body

        ahead, length = b"5:ahead,4:true!", b"6:length,6:120000#"
        for body, expected in (
            (length, (120_000, False)),
            (ahead + length, (120_000, True)),
            (length + ahead, (120_000, True)),
            (ahead, None),
            (length + b"5:ahead,5:false!", None),
            (length + b"5:other,4:true!", None),
            (ahead + length + ahead, None),
        ):
            rest = b"8:response,1:1#3:200#0:]0:}%d:%b}" % (len(body), body)
            frame = b"%d:%b]" % (len(rest), rest)
            self.assertEqual(announced_body(frame), expected, frame)
