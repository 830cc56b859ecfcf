"""Runs one session of tests/vectors/sessions.json on a guest (tests/vectors/README.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from subproxy.wire.frames import FrameDecoder, encode
from tests.rigs.paths import ROOT

VECTORS = ROOT / "tests" / "vectors"
OF_EXCHANGE = ("response", "body", "end", "abort")


class Guest(Protocol):
    """A guest under test: a thin cover around an implementation."""

    def send(self, data: bytes) -> None:
        """These bytes come from the proxy."""

    def receive(self) -> bytes:
        """What the guest has written since the last call (a real connection: wait a little)."""

    def closed(self) -> bool:
        """Whether it has closed the connection."""

    def stop(self) -> None:
        """It is told to stop in an orderly manner."""

    def wait(self, seconds: float) -> None:
        """So much time passes (a real connection: no more than until it is closed)."""


def received(guest: Guest, data: bytes) -> bytes:
    """
    What of C{data}, which C{guest} has written after it was told to stop, is to be shown.

    A proxy is there that answers C{unregister}; the vectors know nothing of that.
    """
    shown = b""
    for frame in decoded(data):
        if frame[0] == b"unregister":
            guest.send(encode([b"unregistered", frame[1]]))
        else:
            shown += encode(frame)
    return shown


def decoded(data: bytes) -> list[Any]:
    """The frames of C{data}, which end with it."""
    decoder = FrameDecoder(9_999_999)
    decoder.feed(data)
    return list(iter(decoder.next, None))


def load(name: str) -> Any:
    """One of the files of vectors."""
    return json.loads((VECTORS / name).read_text())


def as_json(value: Any) -> Any:
    """A decoded value as the vectors write it."""
    match value:
        case bytes():
            return value.decode("latin-1")
        case list():
            return [as_json(each) for each in value]
        case dict():
            return {as_json(key): as_json(each) for key, each in value.items()}
    return value


def like(value: Any, pattern: Any) -> bool:
    """Whether C{value} matches C{pattern}."""
    if pattern == "*":
        return True
    if isinstance(pattern, list):
        return (
            isinstance(value, list)
            and len(value) >= len(pattern)
            and all(map(like, value, pattern))
        )
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and like(value[key], pattern[key]) for key in pattern
        )
    return type(value) is type(pattern) and bool(value == pattern)


FIELDS = {"response": 3, "end": 2}
"""Which element of a frame is a section of fields."""


def lower_names(frame: list[Any]) -> list[Any]:
    """C{frame} with the names of its fields in lower case: HTTP has no case in them."""
    index = FIELDS.get(frame[0], 0)
    if not index or len(frame) <= index or not isinstance(frame[index], list):
        return frame
    return [*frame[:index], lowered(frame[index]), *frame[index + 1 :]]


def lowered(fields: list[Any]) -> list[Any]:
    """Fields with names in lower case, sorted by them: that order means nothing."""
    return sorted(([name.lower(), *rest] for name, *rest in fields), key=lambda field: field[0])


class Line(Protocol):
    """A data connection of a guest under test, seen from the proxy."""

    def send(self, data: bytes) -> None:
        """These bytes come from the proxy."""

    def receive(self) -> bytes:
        """What the guest has written on it since the last call."""

    def end(self) -> None:
        """The proxy closes it."""

    def closed(self) -> bool:
        """Whether the guest has closed it."""


class DialsLines(Guest, Protocol):
    """A guest under test that dials data connections."""

    def lines(self) -> list[Line]:
        """All that it has dialled, in order."""


class Run:
    """One session, played to its end by L{run}; a failure is an L{AssertionError}."""

    def __init__(self, session: dict[str, Any], guest: Guest, split: bool) -> None:
        self.session, self.guest, self.split = session, guest, split
        self.decoder = FrameDecoder(session.get("frame", 262_144))
        self.frames: list[list[Any]] = []

    def run(self) -> None:
        """Play it."""
        for number, (kind, *arguments) in enumerate(self.session["steps"]):
            step = f"step {number}, {kind} {arguments}"
            try:
                getattr(self, "do_" + kind)(*arguments)
            except AssertionError as error:
                raise AssertionError(f"{step}: {error}; waiting: {self.frames}") from error

    def listen(self) -> None:
        self.decoder.feed(self.guest.receive())
        while (frame := self.decoder.next()) is not None:
            self.frames.append(as_json(frame))

    def take(self, belongs: Callable[[list[Any]], bool]) -> list[Any]:
        """The first frame of those."""
        self.listen()
        for index, frame in enumerate(self.frames):
            if belongs(frame):
                return self.frames.pop(index)
        raise AssertionError("the guest did not say it")

    def take_of(self, exchange: int) -> list[Any]:
        return self.take(lambda frame: frame[0] in OF_EXCHANGE and frame[1] == exchange)

    def do_send(self, data: str) -> None:
        raw = data.encode("latin-1")
        for part in [raw[i : i + 1] for i in range(len(raw))] if self.split else [raw]:
            self.guest.send(part)

    def do_stop(self) -> None:
        self.guest.stop()

    def do_expect(self, pattern: list[Any]) -> None:
        if pattern[0] in OF_EXCHANGE:
            frame = self.take_of(pattern[1])
        else:
            frame = self.take(
                lambda frame: (
                    frame[0] == pattern[0]
                    or (frame[0] not in (*OF_EXCHANGE, "credit", *self.session.get("may", ())))
                )
            )
        assert like(lower_names(frame), lower_names(pattern)), f"it said {frame}"

    def do_silence(self, seconds: float) -> None:
        self.guest.wait(seconds)

    def do_failed(self, exchange: int) -> None:
        frame = self.take_of(exchange)
        assert frame[0] in ("response", "abort"), f"it said {frame}"
        if frame[0] == "abort":
            return
        assert frame[2] >= 500, f"it said {frame}"
        while frame[0] != "end" and frame[-1] is None:
            frame = self.take_of(exchange)

    def do_body(self, exchange: int, data: str) -> None:
        got = ""
        while len(got) < len(data):
            frame = self.take_of(exchange)
            assert frame[0] == "body", f"it said {frame}"
            assert frame[2], "an empty body frame"
            got += frame[2]
        assert got == data, f"it said {got!r}"

    def do_response(
        self, exchange: int, status: int, headers: list[Any], body: str, trailers: list[Any]
    ) -> None:
        head = self.take_of(exchange)
        while head[0] == "response" and head[2] < 200:
            head = self.take_of(exchange)
        assert head[:3] == ["response", exchange, status], f"it said {head}"
        sent = [[name.lower(), value] for name, value in head[3]]
        assert all([name.lower(), value] in sent for name, value in headers), f"{head}"
        if head[5] is not None:
            assert head[5] == body, f"it said {head}"
            assert not trailers, "it left out the trailers"
            assert len(body) <= self.session.get("inline", 65_536), "that is too long inline"
            return
        self.do_body(exchange, body)
        end = self.take_of(exchange)
        expected = lower_names(["end", exchange, trailers])
        assert lower_names([*end, []])[:3] == expected, f"it said {end}"

    def do_credit(self, exchange: int, low: int, high: int) -> None:
        total = 0
        while total < low:
            total += self.take(lambda frame: frame[:2] == ["credit", exchange])[2]
        assert total <= high, f"it granted {total}"

    def do_quiet(self) -> None:
        self.listen()
        allowed = ("credit", *self.session.get("may", ()))
        assert all(frame[0] in allowed for frame in self.frames), "it said more"

    def do_over(self) -> None:
        self.listen()
        said = [frame[0] for frame in self.frames]
        assert said[-1:] == ["bye"] or self.guest.closed(), "it has not closed"
        if said[-1:] == ["bye"]:
            said.pop()
        assert all(verb in ("credit", *self.session.get("may", ())) for verb in said), said


class DataRun(Run):
    """One session of data.json."""

    guest: DialsLines

    def do_dialled(self, line: int) -> None:
        count = len(self.guest.lines())
        assert count == line, f"it has dialled {count}"

    def do_line(self, number: int, what: str, data: str) -> None:
        if what == "unused" and len(self.guest.lines()) < number:
            return
        assert len(self.guest.lines()) >= number, "it was not dialled"
        line, raw = self.guest.lines()[number - 1], data.encode("latin-1")
        match what:
            case "send":
                for part in [raw[i : i + 1] for i in range(len(raw))] if self.split else [raw]:
                    line.send(part)
            case "expect" | "quiet":
                got = line.receive()
                assert got == raw, f"it sent {got!r}"
                assert not line.closed(), "it has closed it"
            case "end":
                line.end()
            case "over" | "unused":
                if what == "unused" and not line.closed():
                    line.send(raw)
                assert line.closed(), "it has not closed it"
            case _:
                raise ValueError(what)


def frame_bytes(value: Any) -> bytes:
    """The encoding of a value as the vectors write it."""
    return encode(from_json(value))


def from_json(value: Any) -> Any:
    """A value of the vectors, as the code has it."""
    match value:
        case str():
            return value.encode("latin-1")
        case list():
            return [from_json(each) for each in value]
        case dict():
            return {from_json(key): from_json(each) for key, each in value.items()}
    return value
