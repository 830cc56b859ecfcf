"""Tests of subproxy.wire.frames; what decodes and what doesn't is in tests/vectors/frames.json."""

from __future__ import annotations

import tracemalloc

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.errors import FrameError
from subproxy.wire.frames import (
    FrameDecoder,
    Value,
    check_values,
    decode,
    encode,
    encoded_pieces,
    encoded_size,
)
from subproxy.wire.limits import MAX_DEPTH, MAX_NUMBER
from tests.rigs.wire_pair import pieces_of

LIMIT = 262_144

scalars = st.one_of(
    st.binary(max_size=40),
    st.integers(-MAX_NUMBER, MAX_NUMBER),
    st.booleans(),
    st.none(),
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.binary(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


def depth(value: Value) -> int:
    """How deep a value nests: 0 for a scalar."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


frames = st.lists(values, max_size=6).filter(lambda frame: depth(frame) <= MAX_DEPTH)
splits = st.lists(st.integers(1, 30), min_size=1, max_size=20)


def nested(levels: int, inner: Value) -> list[Value]:
    """C{inner} in so many lists."""
    for _ in range(levels):
        inner = [inner]
    assert isinstance(inner, list)
    return inner


def read_all(decoder: FrameDecoder, pieces: list[bytes]) -> list[Value]:
    """The frames that those reads complete."""
    found = []
    for piece in pieces:
        decoder.feed(piece)
        while (frame := decoder.next()) is not None:
            found.append(frame)
    return found


class CountingDecoder(FrameDecoder):
    """
    Counts what it copies.

    @ivar copied: how many bytes it has copied to join reads.
    @ivar looked: how often it has looked for a length.
    """

    copied = looked = 0

    def _colon(self, start: int) -> int | None:
        self.looked += 1
        return super()._colon(start)

    def _join(self) -> None:
        self.copied += self.pending
        super()._join()


class DecodeTests(SynchronousTestCase):
    @given(frames)
    @example([])
    def test_round_trip(self, frame: list[Value]) -> None:
        """What is encoded decodes to itself."""
        data = encode(frame)
        assert decode(data) == frame
        assert encoded_size(frame) == len(data)

    @given(st.binary(max_size=60))
    @example(b"4:1:\xff#]")
    @example(b"10:7:0:]1:b,}]")
    @example(b"27:24:\xff23456789012345678901234#]")
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are a frame that encodes to as many bytes, or a FrameError."""
        try:
            frame = decode(data)
        except FrameError:
            return
        assert len(encode(frame)) == len(data)
        assert decode(encode(frame)) == frame

    @given(st.binary(max_size=40), st.sampled_from(b",#!~]}^"))
    def test_any_payload(self, payload: bytes, tag: int) -> None:
        """Any payload under any tag is a value in its one encoding, or a FrameError."""
        element = b"%d:%b%c" % (len(payload), payload, tag)
        data = b"%d:%b]" % (len(element), element)
        try:
            (value,) = decode(data)
        except FrameError:
            return
        assert tag != ord("^")
        assert len(encode([value])) == len(data)

    @given(st.integers(-(2**70), 2**70))
    @example(2**53)
    @example(-(2**53))
    def test_integers(self, number: int) -> None:
        """Integers are what JSON has exactly, at any depth."""
        for frame in ([number], [b"x", {b"k": [number]}]):
            if abs(number) <= MAX_NUMBER:
                assert decode(encode(frame)) == frame
            else:
                self.assertRaises(FrameError, decode, encode(frame))

    def test_depth(self) -> None:
        """The frame itself and seven levels within are allowed, and not one more."""
        for inner in ([], {}, [b"a", b"b"], [b"a", 1], {b"k": 1}):
            self.assertEqual(nested(7, inner), decode(encode(nested(7, inner))))
            error = self.assertRaises(FrameError, decode, encode(nested(8, inner)))
            self.assertEqual("nested deeper than 8", str(error))
            deep: list[Value] = [{b"k": nested(6, inner)}]
            self.assertRaises(FrameError, decode, encode(deep))
            deep = [{b"k": nested(5, inner)}]
            self.assertEqual(deep, decode(encode(deep)))

    def test_reasons(self) -> None:
        """Each refusal says what was wrong."""
        for data, reason in (
            (b"4:ping,", "a frame is a list"),
            (b"6:3:1.5^]", "floats are not used"),
            (b"20:16:9007199254740992#]", "an integer is out of range"),
            (b"21:17:-9007199254740992#]", "an integer is out of range"),
            (b"11:8:1:1#1:b,}]", "the keys of a dictionary are byte strings"),
            (b"5:2:01#]", "an integer is not in its shortest form, or a key comes twice"),
        ):
            self.assertEqual(reason, str(self.assertRaises(FrameError, decode, data)))

    def test_trailing_data(self) -> None:
        """What follows a frame is not part of it."""
        self.assertRaises(FrameError, decode, b"0:]x")
        self.assertRaises(FrameError, decode, b"0:]0:]")

    def test_check_values_looks_into_pairs(self) -> None:
        """A list of two that is no header field is looked into like any other."""
        for pair in ([b"a", 1.5], [1.5, b"a"], [[1.5], b"a"], [b"a", {b"k": 1.5}], [b"a", 2**53]):
            self.assertRaises(FrameError, check_values, [pair])
        # Nor is one of more, though it begins like one.
        self.assertRaises(FrameError, check_values, [[b"a", b"b", 1.5]])
        self.assertRaises(FrameError, check_values, [[b"a", b"b", nested(8, b"c")]])
        check_values([[b"a", b"b"], [1, 2], [True, None]])

    def test_long_frames_of_many_colons(self) -> None:
        """Their elements are counted from the first one on, however long their own length is."""
        for size in (2000, 150_000, 1_050_000):
            frame = [b"x", b":" * size, 1]
            self.assertEqual(decode(encode(frame)), frame)

    def test_huge_integers_are_cheap(self) -> None:
        """A frame full of digits is refused by its shape, not computed."""
        data = b"%d#" % 0
        digits = b"9" * 250_000
        data = b"%d:%b#" % (len(digits), digits)
        self.assertRaises(FrameError, decode, b"%d:%b]" % (len(data), data))


class EncodeTests(SynchronousTestCase):
    @given(st.lists(values, max_size=4), st.integers(0, 2000))
    def test_pieces(self, head: list[Value], size: int) -> None:
        """The pieces of a frame are its encoding, whatever the length of its body."""
        frame = [b"verb", *head, bytes(size)]
        assert b"".join(encoded_pieces(frame)) == encode(frame)
        view = [*frame[:-1], memoryview(frame[-1])]
        assert b"".join(encoded_pieces(view)) == encode(frame)
        assert encoded_size(frame) == len(encode(frame))

    def test_a_body_is_not_copied(self) -> None:
        """A long body is one of the pieces, and a short one is not worth it."""
        body = bytes(512)
        self.assertIs(body, encoded_pieces([b"body", 1, body])[1])
        self.assertEqual(1, len(encoded_pieces([b"body", 1, bytes(511)])))

    def test_not_only_bodies(self) -> None:
        """A frame that ends with something else is encoded as it is."""
        for frame in ([], [1], [bytes(600), 1], [[bytes(600)]]):
            self.assertEqual(encode(frame), b"".join(encoded_pieces(frame) if frame else [b"0:]"]))
            self.assertEqual(len(encode(frame)), encoded_size(frame))


class FrameDecoderTests(SynchronousTestCase):
    def test_a_span_is_of_a_good_frame(self) -> None:
        """One byte more than it may have, and it is not looked at in place: L{next} refuses it."""
        at_most = encode([b"request", b"x" * 50])
        more = encode([b"request", b"x" * 51])
        payload = len(at_most) - len(b"00:]")
        # A length that begins with 0 is none, though it says the same.
        for frame, span in ((at_most, (0, len(at_most))), (more, None), (b"0" + at_most, None)):
            decoder = FrameDecoder(payload)
            decoder.feed(frame)
            self.assertEqual(decoder.next_span(b"7:request"), span)
            self.assertIsNone(decoder.next_span(b"8:register"))
            if span is None:
                self.assertRaises(FrameError, decoder.next)

    def test_a_span_of_any_length(self) -> None:
        """Behind another frame, too, and up to the last byte that is there."""
        before = encode([b"ping"])
        for size in (0, 10, 100, 1000, 10_000, 100_000, 1_000_000):
            frame = encode([b"request", bytes(size)])
            decoder = FrameDecoder(9_999_999)
            decoder.feed(before + frame)
            decoder.next()
            self.assertEqual(decoder.next_span(b"7:request,"), (len(before), len(before + frame)))
            decoder.clear()
            decoder.feed(frame[:-1])
            self.assertIsNone(decoder.next_span(b"7:request,"))

    def test_what_has_no_span(self) -> None:
        """It does not begin with a length, or not with all of it."""
        for data in (b"", b"1", b"15", b":7:request,]", b"+15:7:request,1:1#]", b"-1:7:request,"):
            decoder = FrameDecoder(LIMIT)
            decoder.feed(data)
            self.assertIsNone(decoder.next_span(b"7:request,"), data)

    def test_a_length_that_is_not_there_is_looked_for_when_more_has_come(self) -> None:
        """One that is there is looked at again when all of its frame is."""
        decoder = CountingDecoder(LIMIT)
        for more, looked in ((b"1", 1), (b"", 1), (b"2", 3), (b"", 3), (b":", 5), (b"9:", 5)):
            decoder.feed(more)
            for _ in range(3):
                self.assertIsNone(decoder.next())
            self.assertEqual(decoder.looked, looked)

    def test_what_waits_is_not_moved(self) -> None:
        """Frames that are whole in a read stay where they are when more is read."""
        decoder = CountingDecoder(LIMIT)
        for _ in range(3):
            decoder.feed(encode([b"ping"]) * 3)
            self.assertEqual(decoder.next(), [b"ping"])
            decoder.feed(encode([b"pong"]))
            self.assertEqual((decoder.next(), decoder.copied), ([b"ping"], 0))
            self.assertEqual([decoder.next(), decoder.next()], [[b"ping"], [b"pong"]])
            decoder.copied = 0

    def test_a_frame_that_ends_with_its_read_is_not_moved(self) -> None:
        """What was read behind it is, once."""
        decoder = CountingDecoder(LIMIT)
        ping, pong = encode([b"ping"]), encode([b"pong"])
        decoder.feed(ping)
        decoder.feed(pong)
        self.assertEqual([decoder.next(), decoder.next()], [[b"ping"], [b"pong"]])
        self.assertEqual(decoder.copied, len(pong))

    def test_a_long_read_is_not_copied_for_a_short_one(self) -> None:
        decoder = FrameDecoder(LIMIT)
        decoder.feed(b"250000:")
        decoder.feed(bytes(200_000))
        tracemalloc.start()
        try:
            decoder.feed(bytes(100))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 5000)

    def test_an_empty_decoder_is_as_a_new_one(self) -> None:
        """However it was emptied: one wrong byte is refused at once."""
        for empty in ("next", "take_rest", "clear"):
            decoder = FrameDecoder(LIMIT)
            decoder.feed(encode([b"ping"])[:5])
            self.assertIsNone(decoder.next())
            decoder.feed(encode([b"ping"])[5:])
            getattr(decoder, empty)()
            self.assertEqual(decoder.pending, 0)
            decoder.feed(b"x")
            self.assertRaises(FrameError, decoder.next)

    def test_what_comes_behind_what_is_forgotten(self) -> None:
        """It is read from its first byte."""
        decoder = FrameDecoder(LIMIT)
        for held in (b"", b"9:1:", encode([b"bye"]) * 2):
            decoder.feed(held)
            decoder.feed(b"more")
            decoder.clear()
            self.assertEqual(decoder.pending, 0)
            for piece in (b"11:4:", b"ping,1:1,]"):
                self.assertIsNone(decoder.next())
                decoder.feed(piece)
            self.assertEqual(decoder.next(), [b"ping", b"1"])
            self.assertIsNone(decoder.next())

    @given(st.lists(frames, max_size=6), splits)
    def test_any_split(self, sent: list[list[Value]], sizes: list[int]) -> None:
        """However the bytes are cut, the frames are the same."""
        data = b"".join(map(encode, sent))
        decoder = FrameDecoder(LIMIT)
        assert read_all(decoder, list(pieces_of(data, sizes))) == sent
        assert decoder.pending == 0

    @given(st.lists(frames, min_size=1, max_size=4), splits, st.data())
    def test_incomplete(
        self, sent: list[list[Value]], sizes: list[int], data: st.DataObject
    ) -> None:
        """A frame whose last byte is missing is not there yet, and what is held is known."""
        encoded = b"".join(map(encode, sent))
        decoder = FrameDecoder(LIMIT)
        found = read_all(decoder, list(pieces_of(encoded[:-1], sizes)))
        assert found == sent[:-1]
        assert decoder.pending == len(encode(sent[-1])) - 1
        decoder.feed(encoded[-1:])
        assert decoder.next() == sent[-1]
        assert decoder.next() is None

    @given(st.lists(st.binary(min_size=1, max_size=20), max_size=10), st.integers(0, 60))
    def test_any_bytes(self, pieces: list[bytes], limit: int) -> None:
        """Any bytes give frames, or a FrameError; never anything else, however they are cut."""
        outcomes = []
        for parts in (pieces, [b"".join(pieces)]):
            decoder = FrameDecoder(limit)
            found: list[Value] = []
            try:
                for part in parts:
                    decoder.feed(part)
                    while (frame := decoder.next()) is not None:
                        found.append(frame)
                outcomes.append((found, "", decoder.pending))
            except FrameError as error:
                outcomes.append((found, str(error), 0))
        assert outcomes[0] == outcomes[1]

    def test_frames_wait_for_their_reader(self) -> None:
        """Each call gives one frame; the reader may stop between two."""
        decoder = FrameDecoder(LIMIT)
        decoder.feed(b"4:1:a,]4:1:b,]4:1")
        self.assertEqual(17, decoder.pending)
        self.assertEqual([b"a"], decoder.next())
        self.assertEqual(10, decoder.pending)
        decoder.feed(b":c,]")
        self.assertEqual([b"b"], decoder.next())
        self.assertEqual([b"c"], decoder.next())
        self.assertIsNone(decoder.next())
        self.assertEqual("<FrameDecoder 0 bytes held>", repr(decoder))

    def test_reads_behind_frames_that_wait(self) -> None:
        """What is read while whole frames wait for their reader comes after them."""
        decoder = FrameDecoder(LIMIT)
        decoder.feed(b"4:1:a,]4:1:b,]")
        self.assertEqual([b"a"], decoder.next())
        decoder.feed(b"4:1:c,]")
        decoder.feed(b"4:1:d,]")
        self.assertEqual([[b"b"], [b"c"], [b"d"]], [decoder.next() for _ in range(3)])
        self.assertEqual((None, 0), (decoder.next(), decoder.pending))

    def test_nothing(self) -> None:
        """Empty reads change nothing."""
        decoder = FrameDecoder(LIMIT)
        self.assertIsNone(decoder.next())
        for piece in (b"", b"4:", b"", b"1:a,", b"", b"]"):
            self.assertIsNone(decoder.next())
            decoder.feed(piece)
        self.assertEqual([b"a"], decoder.next())
        self.assertIsNone(decoder.next())

    def test_the_limit_is_inclusive(self) -> None:
        """A payload of exactly the limit is taken, one byte more is refused by its length."""
        frame = [b"x" * 90]
        size = len(encode(frame)) - 4
        decoder = FrameDecoder(size)
        decoder.feed(encode(frame))
        self.assertEqual(frame, decoder.next())
        decoder = FrameDecoder(size - 1)
        decoder.feed(b"%d:" % size)
        error = self.assertRaises(FrameError, decoder.next)
        self.assertEqual(f"a frame of {size} bytes, where {size - 1} are allowed", str(error))

    def test_reasons(self) -> None:
        """Each refusal says what was wrong, as soon as it can be known."""
        length = "a frame begins with its length: digits, 7 at most, no leading zero"
        for data, reason in (
            (b":", length),
            (b"x", length),
            (b"1x", length),
            (b"12345678", length),
            (b"12345678:", length),
            (b"01", length),
            (b"00:", length),
            (b"1:a,", "a frame ends with ']'"),
            (b"3:0:]}", "a frame ends with ']'"),
        ):
            decoder = FrameDecoder(9_999_999)
            decoder.feed(data)
            self.assertEqual(reason, str(self.assertRaises(FrameError, decoder.next)), data)

    def test_seven_digits(self) -> None:
        """The longest length is taken where the limit allows it."""
        decoder = FrameDecoder(9_999_999)
        decoder.feed(b"9999999")
        self.assertIsNone(decoder.next())
        decoder.feed(b":")
        self.assertIsNone(decoder.next())

    def test_rest(self) -> None:
        """What follows is given away as raw bytes, however it came, and the decoder goes on."""
        decoder = FrameDecoder(LIMIT)
        decoder.feed(b"4:1:a,]raw")
        self.assertEqual([b"a"], decoder.next())
        decoder.feed(b" by")
        decoder.feed(b"tes")
        self.assertEqual(b"raw bytes", decoder.take_rest())
        self.assertEqual((0, b""), (decoder.pending, decoder.take_rest()))
        decoder.feed(b"4:1:")
        self.assertIsNone(decoder.next())
        self.assertEqual(b"4:1:", decoder.take_rest())
        decoder.feed(b"0:]")
        self.assertEqual([], decoder.next())

    def test_byte_by_byte_is_linear(self) -> None:
        """A long frame in tiny reads is copied a few times, not once a read."""
        frame = encode([b"x" * 250_000])
        for size in (1, 2, 100, 1023, 1024, 5000):
            decoder = CountingDecoder(LIMIT)
            self.assertEqual(1, len(read_all(decoder, list(pieces_of(frame, [size] * 300_000)))))
            self.assertLess(decoder.copied, 3 * len(frame), size)

    def test_many_small_frames_in_a_read_are_linear(self) -> None:
        """Frames of one read are not moved when one of them has been taken."""
        decoder = CountingDecoder(LIMIT)
        data = encode([b"ping", b"1"]) * 5000
        self.assertEqual(5000, len(read_all(decoder, list(pieces_of(data, [65_536] * 100)))))
        self.assertLess(decoder.copied, 2 * len(data))

    def test_memory_is_bounded(self) -> None:
        """What is held costs little more than its bytes, in whatever pieces it came."""
        frame = encode([b"x" * 50_000])[:-1]
        for size in (1, 2, 100, 1500):
            pieces = list(pieces_of(frame, [size] * 300_000))
            decoder = FrameDecoder(LIMIT)
            tracemalloc.start()
            try:
                for piece in pieces:
                    # A copy: what was read is the decoder's alone.
                    decoder.feed(bytes(bytearray(piece)))
                    decoder.next()
                held, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            self.assertLess(held, 1.3 * len(frame), size)

    def test_nothing_is_allocated_from_a_claim(self) -> None:
        """A length costs as much as its digits."""
        decoder = FrameDecoder(9_999_999)
        tracemalloc.start()
        try:
            decoder.feed(b"9999998:9000000:x")
            self.assertIsNone(decoder.next())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 5000)
