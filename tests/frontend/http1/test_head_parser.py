"""llhttp through httptools, as it is used here."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.errors import BadRequest
from subproxy.frontend.http1.head_parser import MessageParser, ParserError, without_empty_lines


class MessageParserTests(SynchronousTestCase):
    def test_white_space_behind_values_is_removed(self) -> None:
        parser = MessageParser()
        parser.feed(b"GET / HTTP/1.1\r\nA: X b X \t \r\nC:\t d\r\nE:\r\nF: \t\r\nG: g\t\r\n\r\n")
        self.assertEqual(
            parser.take_fields(),
            [(b"A", b"X b X"), (b"C", b"d"), (b"E", b""), (b"F", b""), (b"G", b"g")],
        )
        self.assertTrue(parser.complete)

    def test_an_upgrade_is_no_error(self) -> None:
        parser = MessageParser()
        parser.feed(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\nLast: y\r\n\r\n")
        self.assertEqual(parser.take_fields()[-1], (b"Last", b"y"))

    def test_trailers_come_behind_the_fields(self) -> None:
        parser = MessageParser()
        parser.feed(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.assertEqual(len(parser.take_fields()), 1)
        self.assertFalse(parser.complete)
        parser.feed(b"0\r\nX: y\r\n\r\n")
        self.assertEqual(parser.take_fields(), [(b"X", b"y")])
        self.assertTrue(parser.complete)

    def test_it_is_strict(self) -> None:
        for head in (
            b"GET / HTTP/1.1\nA: b\n\n",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nA : b\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            self.assertRaises(ParserError, MessageParser().feed, head)

    def test_a_parser_is_freed_by_its_last_reference(self) -> None:
        import gc
        import weakref

        class Watched(MessageParser):
            __slots__ = ("__weakref__",)

        gc.disable()
        self.addCleanup(gc.enable)
        parser = Watched()
        parser.feed(b"GET / HTTP/1.1\r\nA: b\r\n\r\n")
        gone = weakref.ref(parser)
        del parser
        self.assertIsNone(gone())


class EmptyLineTests(SynchronousTestCase):
    def test_they_are_skipped(self) -> None:
        for data, rest in [
            (b"\r\nGET", b"GET"),
            (b"\r\n\r\n\r\nGET\r\n", b"GET\r\n"),
            (b"\r\n", b""),
            (b"\r\n\r", b"\r"),  # the LF may still come
            (b"\r", b"\r"),
            (b"XGET", b"XGET"),
            (b"", b""),
        ]:
            self.assertEqual(without_empty_lines(data), rest)

    def test_what_is_no_empty_line(self) -> None:
        for data in (b"\rGET", b"\r\n\rGET", b"\r\r\n", b"\r\n\n", b"\n", b"\n\r", b"\r\rGET"):
            self.assertRaises(BadRequest, without_empty_lines, data)
