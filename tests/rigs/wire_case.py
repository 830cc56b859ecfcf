"""Assertions that every test of a connection of the wire needs."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.connection import (
    Broken,
    Violation,
    WireConnection,
)
from subproxy.wire.errors import (
    LocalProtocolError,
)
from subproxy.wire.states import Role, Side
from tests.rigs.wire_pair import frames_of

GUEST, PROXY = Role.GUEST, Role.PROXY


def bodies(frames: list[list[object]], number: int = 1) -> list[bytes]:
    """The data of the body frames of that exchange."""
    return [data for verb, of, *rest in frames for data in rest if (verb, of) == (b"body", number)]  # type: ignore[misc]


class WireTestCase(SynchronousTestCase):
    """Assertions that every test of a connection needs."""

    def assert_broken(
        self, end: WireConnection, events: list[Any], kind: type, reason: str
    ) -> None:
        """C{end} gave up for that reason, and said so."""
        (event,) = events
        assert isinstance(event, Broken), event
        self.assertIs(kind, type(event.error))
        self.assertEqual(reason, str(event.error))
        self.assertIs(Side.DONE, end.ours)
        said = frames_of(end.data_to_send())
        self.assertEqual([b"bye", event.error.code, reason.encode()], said[-1])
        end.feed(b"0:]")
        self.assertIsNone(end.next_event())

    def assert_violation(
        self, end: WireConnection, events: list[Any], number: int, why: str
    ) -> None:
        """C{end} aborted that exchange for that reason, and goes on."""
        self.assertEqual([Violation(number, why)], events)
        self.assertNotIn(number, end.exchanges)
        said = frames_of(end.data_to_send())
        self.assertEqual([[b"abort", number, b"protocol", why.encode()]], said)

    def local_error(self, reason: str, call: Any, *arguments: Any) -> None:
        """C{call} is a mistake of ours."""
        self.assertEqual(reason, str(self.assertRaises(LocalProtocolError, call, *arguments)))
