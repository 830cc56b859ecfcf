from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.qmp import (
    LONGEST,
    Greeting,
    QmpAnswer,
    QmpError,
    QmpEvent,
    QmpProtocol,
    QmpRefusal,
    parse_message,
)

GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, '
    b'"package": "Debian 1:7.2+dfsg-7+deb12u18"}, "capabilities": ["oob"]}}'
)
SHUTDOWN = (
    b'{"timestamp": {"seconds": 1764492000, "microseconds": 77}, "event": "SHUTDOWN", '
    b'"data": {"guest": true, "reason": "guest-shutdown"}}'
)
"""As QEMU 7.2.22 of Debian 12 has sent them."""


class ParseTests(SynchronousTestCase):
    def test_messages(self) -> None:
        for line, message in (
            (GREETING, Greeting("7.2.22")),
            (b'{"QMP": {}}', Greeting("unknown")),
            (SHUTDOWN, QmpEvent("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})),
            (b'{"event": "STOP"}', QmpEvent("STOP", {})),
            (b'{"return": {}, "id": 3}\r', QmpAnswer(3, {})),
            (b'{"return": {}}', QmpAnswer(None, {})),
            (b'{"return": {}, "id": "3"}', QmpAnswer(None, {})),
            (
                b'{"id": 2, "error": {"class": "CommandNotFound", "desc": "no such"}}',
                QmpRefusal(2, "no such"),
            ),
        ):
            self.assertEqual(parse_message(line), message, line)

    def test_what_is_none(self) -> None:
        for line in (b"", b"{", b"[]", b"7", b"{}", b'"QMP"', b"\xff", b"[" * 100_000):
            self.assertRaises(QmpError, parse_message, line)

    @given(st.binary())
    def test_anything(self, line: bytes) -> None:
        """No other exception."""
        try:
            parse_message(line)
        except QmpError:
            pass

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["QMP", "event", "data", "return", "error", "id", "version"]),
                    inner,
                )
            ),
        )
    )
    def test_any_json(self, value: object) -> None:
        """No other exception."""
        try:
            parse_message(json.dumps(value).encode())
        except QmpError:
            pass


class ProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[QmpEvent] = []
        self.protocol = QmpProtocol(self.events.append)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def sent(self) -> list[object]:
        """The commands that it has sent since."""
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(each) for each in lines]

    def receive(self, *lines: bytes) -> None:
        """QEMU sends something."""
        self.protocol.dataReceived(b"".join(line + b"\r\n" for line in lines))

    def test_commands_are_answered_by_their_number(self) -> None:
        self.receive(GREETING)
        self.assertEqual(self.protocol.version, "7.2.22")
        first = self.protocol.command("qmp_capabilities")
        second = self.protocol.command("human-monitor-command", {"command-line": "info"})
        self.assertEqual(
            self.sent(),
            [
                {"execute": "qmp_capabilities", "id": 1},
                {
                    "execute": "human-monitor-command",
                    "id": 2,
                    "arguments": {"command-line": "info"},
                },
            ],
        )
        self.receive(b'{"return": "text", "id": 2}', b'{"return": {}, "id": 1}')
        self.assertEqual(self.successResultOf(second), "text")
        self.assertEqual(self.successResultOf(first), {})

    def test_an_event_before_the_answer(self) -> None:
        """As C{SHUTDOWN} comes before the answer to C{quit}."""
        done = self.protocol.command("quit")
        self.receive(SHUTDOWN, b'{"return": {}, "id": 1}')
        self.assertEqual([each.name for each in self.events], ["SHUTDOWN"])
        self.successResultOf(done)

    def test_a_command_is_refused(self) -> None:
        done = self.protocol.command("nonsense")
        self.receive(b'{"id": 1, "error": {"desc": "The command nonsense has not been found"}}')
        error = self.failureResultOf(done, QmpError).value
        self.assertEqual(str(error), "The command nonsense has not been found")

    def test_answers_that_nobody_waits_for(self) -> None:
        done = self.protocol.command("stop")
        self.receive(b'{"return": {}, "id": 9}', b'{"return": {}}', b'{"error": {}}', b"")
        self.assertNoResult(done)

    def test_the_connection_is_lost(self) -> None:
        done = self.protocol.command("stop")
        self.assertNoResult(self.protocol.closed)
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.successResultOf(self.protocol.closed)
        self.failureResultOf(done, QmpError)
        self.failureResultOf(self.protocol.command("cont"), QmpError)

    def test_no_qmp(self) -> None:
        for line in (b"HTTP/1.1 200 OK", b"x" * (LONGEST + 1)):
            self.setUp()
            done = self.protocol.command("stop")
            self.receive(line)
            self.failureResultOf(done, QmpError)
            self.assertTrue(self.transport.disconnecting)
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_in_pieces(self) -> None:
        for each in range(len(SHUTDOWN) + 1):
            self.protocol.dataReceived(SHUTDOWN[:each])
            self.protocol.dataReceived(SHUTDOWN[each:] + b"\r\n")
        self.assertEqual(len(self.events), len(SHUTDOWN) + 1)
