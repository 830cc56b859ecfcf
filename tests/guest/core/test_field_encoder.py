"""Tests for L{guest.core.field_encoder}."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.core import field_encoder
from guest.core.field_encoder import FieldEncoder
from guest.core.response import checked_fields
from subproxy.wire.frames import decode
from subproxy.wire.messages import Response
from tests.rigs.core_strategies import relaxed

names = st.sampled_from([b"a", b"Content-Length", b"content-length", b"a b", b"", "a"])
contents = st.sampled_from([b"", b"1", b"2", b"x\n", b"\xff", 1, "1"])
sections = st.lists(st.tuples(names, contents) | st.just((b"a",)) | st.just([b"a", b"b"]))


def reference(fields: list[Any], length: int) -> bytes | None:
    """What the frame of a response has, if the response is one."""
    try:
        told = checked_fields(fields)
    except (TypeError, ValueError):
        return None
    if told is not None and told != length:
        return None
    return Response(1, 200, fields, {}, bytes(length)).encode()


class FieldEncoderTests(SynchronousTestCase):
    @given(st.lists(sections, max_size=3))
    @relaxed
    def test_as_the_reference(self, many: list[list[Any]]) -> None:
        """Whatever it has seen before."""
        encoder = FieldEncoder()
        for fields in [*many, *many]:
            section = encoder.encode(fields, 1)
            expected = reference(fields, 1)
            if section is None or expected is None:
                self.assertIsNone(section)
                self.assertIsNone(expected)
            else:
                self.assertIn(b":%b]0:}1:\0,]" % section, expected)

    def test_it_is_bounded(self) -> None:
        encoder = FieldEncoder()
        for number in range(3 * field_encoder.MOST):
            encoder.encode([(b"a", b"%d" % number)], 0)
        self.assertLessEqual(len(encoder._known), field_encoder.MOST)
        encoder = FieldEncoder()
        encoder.encode([(b"a", b"x" * field_encoder.LONGEST)], 0)
        self.assertEqual(len(encoder._known), 0)

    def test_too_many(self) -> None:
        encoder = FieldEncoder()
        self.assertIsNone(encoder.encode([(b"a", b"b")] * 129, 0))
        self.assertIsNone(encoder.encode([(b"a", bytes(b"b" * 60_000))] * 2, 0))

    def test_any_iterable(self) -> None:
        section = FieldEncoder().encode(((b"a", b"b") for _ in range(2)), 0)
        frame = decode(Response(1, 200, [(b"a", b"b")] * 2, {}, b"").encode())
        self.assertEqual(frame[3], [[b"a", b"b"]] * 2)
        self.assertEqual(section, b"8:1:a,1:b,]" * 2)
