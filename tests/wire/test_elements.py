"""Tests of subproxy.wire.elements; more of what is refused is in tests/vectors/frames.json."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.elements import check_elements
from subproxy.wire.errors import FrameError
from subproxy.wire.frames import Value, decode, encode
from subproxy.wire.limits import MAX_ELEMENTS


def count(value: Value) -> int:
    """How many elements C{value} has."""
    if isinstance(value, list):
        return sum(1 + count(each) for each in value)
    if isinstance(value, dict):
        return sum(2 + count(each) for each in value.values())
    return 0


small: st.SearchStrategy[Value] = st.recursive(
    st.one_of(st.none(), st.integers(-9, 9), st.binary(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.binary(max_size=2), inner, max_size=3)
    ),
    max_leaves=10,
)


class Looked(bytes):
    """Notes how it is looked at."""

    def __init__(self, _: bytes) -> None:
        self.ways: list[str] = []

    def count(self, *arguments: Any) -> int:
        """All of it, in C."""
        self.ways.append("count")
        return super().count(*arguments)

    def find(self, *arguments: Any) -> int:
        """Element by element."""
        self.ways.append("find")
        return super().find(*arguments)


class ElementTests(SynchronousTestCase):
    @given(st.lists(small, min_size=1, max_size=8), st.integers(-2, 3))
    def test_the_limit_is_exact(self, values: list[Value], beyond: int) -> None:
        """Whatever the elements are, so many are accepted, and one more is not."""
        each = count(values)
        frame = values * ((MAX_ELEMENTS + beyond) // each)
        frame += [None] * (MAX_ELEMENTS + beyond - count(frame))
        if beyond <= 0:
            assert decode(encode(frame)) == frame
        else:
            with self.assertRaisesRegex(FrameError, "more than 1024 elements"):
                decode(encode(frame))

    @given(st.lists(st.sampled_from(b"0+- :,]}~x"), max_size=12).map(bytes), st.integers(0, 99))
    def test_what_is_malformed_never_hides_elements(self, junk: bytes, at: int) -> None:
        """Whatever stands amid too many elements: the frame is refused before it is decoded."""
        payload = b"0:]" * at + junk + b"0:]" * (2 * MAX_ELEMENTS)
        self.assertRaises(FrameError, check_elements, payload, 0, len(payload))

    def test_bodies_are_not_looked_into(self) -> None:
        """What looks like elements is a body all the same."""
        frame = [b"body", 1, b"0:]" * 50_000]
        self.assertEqual(decode(encode(frame)), frame)

    def test_what_is_cut_off(self) -> None:
        """An element ends within the one that holds it, its tag included."""
        before = b"0:~" * 1000 + b"2000:%b," % (b":" * 2000)
        for last in (b"1:x", b"1:", b"2:x~", b"12345678:x,", b":~", b"x"):
            for payload in (before + last, before + b"%d:%b]" % (len(last), last)):
                self.assertRaises(FrameError, check_elements, payload, 0, len(payload))

    def test_elements_of_lists_and_dictionaries_count(self) -> None:
        """At any depth, and what follows behind them."""
        for inner in ([None] * 300, {b"%d" % key: None for key in range(150)}):
            for frame in ([inner] * 2, [[[inner]], inner], [inner, [inner]]):
                padded = [*frame, b":" * 5000, *[None] * (MAX_ELEMENTS - 1 - count(frame))]
                self.assertEqual(decode(encode(padded)), padded)
                self.assertRaises(FrameError, decode, encode([*padded, None]))

    def test_what_is_looked_at(self) -> None:
        """Of what is too short for so many nothing, of a body three elements, else the colons."""
        short = b"0:~" * MAX_ELEMENTS
        long = b"3072:%b," % bytes(3 * MAX_ELEMENTS)
        body = b"4:body,1:1#5000:%b," % (b":" * 5000)
        many = b"0:~" * 2 + b"2048:%b," % (b":" * 2 * MAX_ELEMENTS) + long
        all_but_one = b"0:~" * (MAX_ELEMENTS - 1) + b"2048:%b," % (b":" * 2048)
        exact = b"0:~" * (MAX_ELEMENTS - 1) + b"9:123456789,"
        for payload, ways in (
            (short, []),
            (exact, ["count"]),
            (long, ["count"]),
            (body, ["find"] * 3),
            (many, ["count"] + ["find"] * 4),
            (all_but_one, ["count"] + ["find"] * MAX_ELEMENTS),
        ):
            for before in (b"", b"1234:"):
                data = Looked(before + payload)
                check_elements(data, len(before), len(data))
                self.assertEqual(data.ways, ways)
