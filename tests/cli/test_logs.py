"""Lines of the access log: read, filtered, followed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import logs as logs_module
from subproxy.cli.log_lines import LogFilter, statuses
from subproxy.cli.logs import logs
from subproxy.core.balancing.member import Member, Pool
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.core.routing.route import Route
from subproxy.telemetry.exchange_record import ExchangeRecord
from subproxy.telemetry.log_format import combined, json_line
from subproxy.telemetry.log_reader import parsed
from tests.cli.test_main import LINES


def record() -> ExchangeRecord:
    """Of a request with what is hard to read in all of its fields."""
    head = RequestHead(b"GET", b'/a"b\\c d', b'x"y.example', b"/a", [(b"User-Agent", b'a"\\ "')])
    head.version, head.client, head.request_id = b"1.1", b"192.0.2.7", b"9f3a-2a"
    exchange = Exchange(head, b"", mock.Mock())
    exchange.pool = Pool(Route(rb'a\.example|x"y\.example', b"/.*"), now=0.0)
    exchange.member = Member('path:/vms/a "b".sock', b"app", b"i", now=0.0)
    return ExchangeRecord(exchange, 503, 7, 1.0, 1.5, 2.0)


class ParsedTests(SynchronousTestCase):
    def test_what_is_written(self) -> None:
        """Both formats say the same, by the same names."""
        one = parsed(combined(record(), b"24/Nov/2026:08:01:00 +0000").decode().rstrip("\n"))
        other = parsed(json_line(record(), b"2026-11-24T08:01:00Z").decode().rstrip("\n"))
        assert one is not None
        assert other is not None
        self.assertEqual((one["status"], one["bytes"], one["first_byte"]), (503, 7, 0.5))
        for name in ("method", "version", "status", "bytes", "id", "client", "error"):
            self.assertEqual(one[name], other[name], name)
        self.assertLessEqual(set(one), set(other))

    def test_hosts(self) -> None:
        """Of the request in JSON; of the route else."""
        lines = (
            combined(record(), b"24/Nov/2026:08:01:00 +0000"),
            json_line(record(), b"2026-11-24T08:01:00Z"),
        )
        for line, host, wanted in (
            (lines[0], "a.example", True),
            (lines[0], "aXexample", False),
            (lines[1], 'X"y.example', True),
            (lines[1], "a.example", False),
        ):
            out = io.StringIO()
            path = self.mktemp()
            Path(path).write_bytes(line)
            logs(path, LogFilter(host=host), last=9, follow=False, as_json=True, out=out)
            self.assertEqual(bool(out.getvalue()), wanted, (line, host))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Nothing raises, and nothing is made up."""
        self.assertIsNone(parsed(text))
        self.assertIsNone(parsed(f'{{"status": {json.dumps(text)}'))

    def test_statuses(self) -> None:
        self.assertEqual(statuses("404, 5XX"), ["404", "5xx"])
        for bad in ("", "4", "6xx", "40x", "404,", "abc"):
            self.assertRaises(ValueError, statuses, bad)


class FollowTests(SynchronousTestCase):
    """C{time.sleep} is where a test writes what comes next."""

    def follow(self, path: Path, *steps: Any) -> list[str]:
        """What was printed when all steps were done."""
        left = list(steps)

        def wait(seconds: float) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        out = io.StringIO()
        with mock.patch.object(logs_module.time, "sleep", wait):
            try:
                logs(str(path), LogFilter(), last=0, follow=True, as_json=True, out=out)
            except KeyboardInterrupt:
                pass
        return [json.loads(line)["target"] for line in out.getvalue().splitlines()]

    def test_follow(self) -> None:
        """Half a line, its rest, a rotation, a file that was emptied."""
        one, other = LINES.splitlines(True)
        path = Path(self.mktemp())
        path.write_bytes(one + other[:20])

        def append(data: bytes) -> None:
            with path.open("ab") as file:
                file.write(data)

        def rotate() -> None:
            append(one)
            os.rename(path, f"{path}.1")

        found = self.follow(
            path,
            lambda: append(other[20:50]),
            lambda: append(other[50:]),
            lambda: append(one[:9]),
            lambda: append(one[9:]),
            rotate,
            lambda: append(other),
            lambda: os.truncate(path, 0),
            lambda: append(one),
        )
        self.assertEqual(found, ["/y", "/x", "/x", "/y", "/x"])

    def test_a_file_that_goes_between_two_looks(self) -> None:
        """The one in its place is read from its beginning."""
        one, other = LINES.splitlines(True)
        path = Path(self.mktemp())
        path.write_bytes(one)
        fstat = os.fstat

        def rotated(descriptor: int) -> os.stat_result:
            found = fstat(descriptor)
            if not os.path.exists(f"{path}.1"):
                os.rename(path, f"{path}.1")
                path.write_bytes(other)
            return found

        with mock.patch.object(logs_module.os, "fstat", rotated):
            self.assertEqual(self.follow(path), ["/y"])
