"""The compiled lines of the access log are those of telemetry.log_format, in every format."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.telemetry.log_format import FORMATS
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Pair, response

GET = b"GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc"


skip = unavailable()


class LogFormatTests(SynchronousTestCase):
    def test_every_log_format_is_fast(self) -> None:
        for style in FORMATS:
            pair = Pair(style=style)
            lines: list[bytes] = []
            for number, request in enumerate(
                (GET, GET.replace(b"GET", b"HEAD"), POST, GET[:16] + GET[16:]), 1
            ):
                pair.client(request)
                for side in pair.sides:
                    side.world.advance(0.0123456)
                pair.guest(response(number))
                lines.append(pair.last["log"][0])  # type: ignore[index]
            self.addCleanup(pair.close)
            self.assertEqual(pair.stats["requests"], 4)
            self.assertEqual(pair.stats["declined_requests"], 0)
            if style == "json":
                got = [json.loads(line) for line in lines]
                self.assertEqual([line["method"] for line in got], ["GET", "HEAD", "POST", "GET"])
                self.assertEqual({line["first_byte"] for line in got}, {0.012346})
                self.assertEqual({line["attempts"] for line in got}, {1})

    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(list(FORMATS)),
        st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]) | st.just("\t")),
        st.text(st.sampled_from("ab?=\\'%&{|`"), max_size=12),
        st.sampled_from([b"a.example", b"A.Example:80", b"b.example."]),
        st.floats(0, 50),
        st.booleans(),
    )
    def test_any_line_of_the_log(
        self, style: str, agent: str, query: str, host: bytes, seconds: float, trusted: bool
    ) -> None:
        """Both write the same line, whatever the client says and however long it takes."""
        pair = Pair(style=style, trust=["192.0.2.7"] if trusted else [])
        pair.client(
            b"GET /x?%b HTTP/1.1\r\nHost: %b\r\nUser-Agent: %b\r\nReferer: %b\r\n"
            b"X-Forwarded-For: 203.0.113.9\r\nX-Request-Id: a-b:c/d+e=@\r\n\r\n"
            % (
                query.encode("latin-1"),
                host,
                agent.encode("latin-1"),
                agent[::-1].encode("latin-1"),
            )
        )
        for side in pair.sides:
            side.world.advance(seconds)
        pair.guest(response(1))
        self.assertEqual(pair.stats["requests"], 1)
        line: bytes = pair.last["log"][0]  # type: ignore[index]
        if style == "json":
            self.assertEqual(
                json.loads(line)["user_agent"].encode("latin-1"),
                agent.strip(" \t").encode("latin-1"),
            )
        pair.close()
