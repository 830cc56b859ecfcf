"""Traces on the compiled path: the same fields, log and guests as without it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.trace_context import TraceContext
from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Pair, response
from tests.rigs.http2_client import GET
from tests.rigs.http2_sides import Http2Side

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


skip = unavailable()


class Numbered:
    """Draws that can be told from each other, and are the same on both sides."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size // 2, "big") * 2


def pair(**options: Any) -> Pair:
    """Both sides, which follow traces."""
    found = Pair(**options)
    for side in found.sides:
        side.factory.set_traces(TraceContext(0.5, Numbered()))
    return found


def request(*fields: tuple[bytes, bytes]) -> bytes:
    lines = [b"GET / HTTP/1.1", b"Host: a.example", *(b"%b: %b" % pair for pair in fields)]
    return b"\r\n".join([*lines, b"", b""])


_NAMES = st.sampled_from([b"traceparent", b"Traceparent", b"tracestate", b"TraceState", b"X-A"])
_VALUES = st.sampled_from(
    [PARENT, PARENT.upper(), PARENT + b"-a", b"01" + PARENT[2:] + b"-a", b"", b"a=1", b"a=1,a=1"]
)


class TraceTests(SynchronousTestCase):
    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.tuples(_NAMES, _VALUES), max_size=4),
        st.sampled_from(["combined", "json"]),
        st.booleans(),
    )
    def test_any_trace(self, fields: list[tuple[bytes, bytes]], style: str, trusted: bool) -> None:
        """Whatever a client sends of it, twice, and whoever it is."""
        found = pair(style=style, trust=["192.0.2.7"] if trusted else [])
        for number in (1, 2):
            found.client(request(*fields))
            for side in found.sides:
                side.world.advance(0.25)
            found.guest(response(number))
        found.close()

    def test_what_stays_compiled(self) -> None:
        """No trace, or a valid one; a state, or what is not valid, is for Python."""
        found = pair(style="json")
        for number, (fields, trace, declined) in enumerate(
            (
                ([], f"{1:024x}"[-16:] + f"{1:016x}", 0),
                ([(b"traceparent", PARENT)], PARENT[3:35].decode(), 0),
                ([(b"traceparent", PARENT), (b"tracestate", b"a=1")], PARENT[3:35].decode(), 1),
                ([(b"traceparent", b"no")], None, 2),
            ),
            1,
        ):
            found.client(request(*fields))
            guest: bytes = found.last["guest"]  # type: ignore[assignment]
            found.guest(response(number))
            line = json.loads(found.last["log"][0])  # type: ignore[index]
            self.assertEqual(found.stats["declined_requests"], declined)
            self.assertIn(line["trace"].encode(), guest)
            if fields and trace:
                self.assertEqual(line["trace"], trace)
        found.close()

    def test_a_request_that_goes_over_to_python(self) -> None:
        """It keeps its trace, and the time since its guest has it."""
        found = pair(style="json")
        found.client(request())
        found.wait(0.25)
        found.guest(response(1, body=None), m.Body(1, b"ab").encode(), m.End(1).encode())
        line = json.loads(found.last["log"][0])  # type: ignore[index]
        self.assertEqual(len(line["trace"]), 32)
        self.assertEqual(line["guest"], 0.25)
        self.assertEqual(found.stats["declined_answers"], 1)
        found.close()

    def test_a_reload_meanwhile(self) -> None:
        """The log has the trace that was followed, on both paths, and none that was not."""
        for before, after, trace in (
            (TraceContext(), None, PARENT[3:35].decode()),
            (None, TraceContext(), None),
        ):
            for answer in response(1), response(1, body=None) + m.End(1).encode():
                found = Pair(style="json")
                for side in found.sides:
                    side.factory.set_traces(before)
                found.client(request((b"traceparent", PARENT)))
                for side in found.sides:
                    side.factory.set_traces(after)
                found.guest(answer)
                line = json.loads(found.last["log"][0])  # type: ignore[index]
                self.assertEqual(line["trace"], trace)
                found.close()

    def test_http2(self) -> None:
        """The guest is told the same, and so is the log; what is left to Python is the same."""
        parent, state = (b"traceparent", PARENT), (b"tracestate", b"a=1")
        for more, declined in (([], 0), ([parent], 0), ([parent, state], 1), ([state], 1)):
            told, lines = [], []
            for fast in True, False:
                side = Http2Side(fast, style="json")
                self.addCleanup(side.log.close)
                side.factory.set_traces(TraceContext(0.5, Numbered()))
                side.client.request(1, [*GET, *more], True)
                side.say(side.client.take())
                (asked,) = side.asked
                side.answer(m.Response(1, 200, [], {}, b""))
                told.append([pair for pair in asked.headers if pair[0].startswith(b"trace")])
                lines.append(json.loads(side.log.waiting.take()[0])["trace"])
                if side.fastpath is not None:
                    self.assertEqual(side.fastpath.stats()["declined_requests"], declined)
            self.assertEqual(told[0], told[1])
            self.assertEqual(lines[0], lines[1])
            self.assertEqual(told[0][0][1][3:35].decode(), lines[0])

    def test_nobody_follows(self) -> None:
        """Then all of it is passed on, unread."""
        found = Pair(style="json")
        found.client(request((b"traceparent", b"no"), (b"tracestate", b"a")))
        self.assertIn(b"11:traceparent,2:no,", found.last["guest"])  # type: ignore[arg-type]
        found.guest(response(1))
        self.assertIsNone(json.loads(found.last["log"][0])["trace"])  # type: ignore[index]
        self.assertEqual(found.stats["declined_requests"], 0)
        found.close()

    def test_as_many_fields_as_there_may_be(self) -> None:
        """There is no room for one more in the compiled path: Python has it."""
        found = pair()
        found.client(request(*((b"X-%d" % n, b"") for n in range(99))))
        found.guest(response(1))
        found.close()
