"""
QMP, the QEMU Machine Protocol: JSON objects, a line each, over a unix socket.

QEMU greets, takes no command before C{qmp_capabilities}, answers commands by their C{id}, and sends
events at any time: C{SHUTDOWN} comes before the answer to C{quit}. See QEMU's
C{docs/interop/qmp-spec.rst} and C{qapi/run-state.json}.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

LONGEST: Final = 1 << 20
"""Bytes of a line. None that we ask for is longer than some kilobytes."""


class QmpError(Exception):
    """QEMU has refused a command, does not speak QMP, or has closed the connection."""


@dataclass(frozen=True)
class Greeting:
    """The first message: a version such as C{7.2.22}."""

    version: str


@dataclass(frozen=True)
class QmpAnswer:
    """A command was done. C{value} is what it returns: mostly an empty object."""

    id: int | None
    value: object


@dataclass(frozen=True)
class QmpRefusal:
    """A command was not done. C{text} is for a person."""

    id: int | None
    text: str


@dataclass(frozen=True)
class QmpEvent:
    """Something has happened: C{SHUTDOWN}, C{RESET}, C{GUEST_PANICKED} and many more."""

    name: str
    data: Mapping[str, object]


QmpMessage = Greeting | QmpAnswer | QmpRefusal | QmpEvent


def parse_message(line: bytes) -> QmpMessage:
    """
    One message of QEMU's.

    @raise QmpError: it is none.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise QmpError("QEMU sent what is no JSON") from None
    if isinstance(message, dict):
        number = message.get("id")
        id = number if type(number) is int else None
        if "QMP" in message:
            return Greeting(_version(message["QMP"]))
        if "event" in message:
            data = message.get("data")
            return QmpEvent(str(message["event"]), data if isinstance(data, dict) else {})
        if "return" in message:
            return QmpAnswer(id, message["return"])
        if "error" in message:
            error = message["error"]
            text = error.get("desc") if isinstance(error, dict) else error
            return QmpRefusal(id, str(text))
    raise QmpError("QEMU sent what is no message of QMP")


def _version(greeting: object) -> str:
    """The version of C{{"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}}}}."""
    try:
        qemu = greeting["version"]["qemu"]  # type: ignore[index]
        return f"{qemu['major']}.{qemu['minor']}.{qemu['micro']}"
    except (KeyError, TypeError):
        return "unknown"


class QmpProtocol(LineOnlyReceiver):
    """
    Our side of a connection to QEMU.

    @param on_event: called with each event. It is not called after the connection is lost.
    """

    delimiter = b"\n"
    MAX_LENGTH = LONGEST

    def __init__(self, on_event: Callable[[QmpEvent], None]) -> None:
        self._on_event = on_event
        self._waiting: dict[int, Deferred[object]] = {}
        self._last = 0
        self._lost = False
        self.version = ""
        """QEMU's, once it has greeted."""
        self.closed: Deferred[None] = Deferred()
        """Fires when the connection is lost."""

    def command(
        self,
        name: str,
        arguments: Mapping[str, object] | None = None,
        descriptor: int | None = None,
    ) -> Deferred[object]:
        """
        Have QEMU do something.

        @param descriptor: goes with it: C{getfd} takes one. It may be closed when this has fired.

        Fires with what it returns. Fails with L{QmpError}: it refuses, or the connection is gone.
        """
        done: Deferred[object] = Deferred()
        if self._lost:
            done.errback(QmpError("no connection to QEMU"))
            return done
        self._last += 1
        message: dict[str, object] = {"execute": name, "id": self._last}
        if arguments:
            message["arguments"] = arguments
        self._waiting[self._last] = done
        assert self.transport is not None, "not connected yet"
        if descriptor is not None:
            self.transport.sendFileDescriptor(descriptor)  # type: ignore[attr-defined]
        self.transport.write(json.dumps(message).encode() + b"\n")
        return done

    def lineReceived(self, line: bytes) -> None:
        """A message has arrived."""
        if not line.strip():
            return
        try:
            message = parse_message(line)
        except QmpError as error:
            self._fail(error)
            return
        if isinstance(message, Greeting):
            self.version = message.version
        elif isinstance(message, QmpEvent):
            self._on_event(message)
        elif message.id is not None and (done := self._waiting.pop(message.id, None)):
            if isinstance(message, QmpAnswer):
                done.callback(message.value)
            else:
                done.errback(QmpError(message.text))

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is too long to be QMP."""
        self._fail(QmpError("QEMU sent a line of over a megabyte"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """QEMU has ended, or has another client."""
        self._give_up(QmpError("QEMU has closed the connection"))
        self.closed.callback(None)

    def _fail(self, error: QmpError) -> None:
        self._give_up(error)
        if self.transport is not None:
            self.transport.loseConnection()

    def _give_up(self, error: QmpError) -> None:
        self._lost = True
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            done.errback(error)
