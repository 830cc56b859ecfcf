"""
Runs the vectors of C{tests/vectors} against a guest, whichever it is (see their README).

A guest is given as a L{Peer}: something that takes bytes of a proxy, and gives back what the guest
says to them. The application that it runs must do what the vectors ask for: C{/} greets
without reading, C{/echo} answers with the whole body, C{/stream} passes pieces and trailers on as
they come, C{/wait} never answers, C{/break} fails after C{half}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from subproxy.wire.frames import FrameDecoder, encode

FOLDER = Path(__file__).parent / "vectors"


class Peer(Protocol):
    """A guest that is being talked to."""

    def write(self, data: bytes) -> None: ...

    def read(self, patient: bool) -> bytes:
        """What it says next; nothing if it stays silent. C{patient}: something must come."""
        ...

    def stop(self) -> None: ...

    def is_over(self) -> bool: ...


def load(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())  # type: ignore[no-any-return]


def octets(text: str) -> bytes:
    return text.encode("latin-1")


def as_json(value: Any) -> Any:
    """A decoded value as the vectors write it."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    if isinstance(value, dict):
        return {as_json(key): as_json(each) for key, each in value.items()}
    return value


def matches(expected: Any, got: Any) -> bool:
    """Whether C{got} is C{expected}: a star is anything, what follows the last element too."""
    if expected == "*":
        return True
    if isinstance(expected, list) and isinstance(got, list):
        return len(expected) <= len(got) and all(map(matches, expected, got))
    if isinstance(expected, dict) and isinstance(got, dict):
        return all(key in got and matches(each, got[key]) for key, each in expected.items())
    return type(expected) is type(got) and bool(expected == got)


class Conversation:
    """One session of C{sessions.json}, with one guest."""

    def __init__(self, session: dict[str, Any], peer: Peer, bytewise: bool = False) -> None:
        self._session = session
        self._bytewise = bytewise
        self._peer = peer
        self._decoder = FrameDecoder(9_999_999)
        self._frames: list[Any] = []
        self._may = {*session.get("may", [])}
        self._stopped = False
        self._said_bye = False

    def run(self) -> None:
        """Raises AssertionError where the guest does not do what it must."""
        for step in self._session["steps"]:
            getattr(self, "_" + step[0])(*step[1:])

    def _fill(self, patient: bool) -> None:
        data = self._peer.read(patient)
        self._decoder.feed(data)
        while (frame := self._decoder.next()) is not None:
            shown = as_json(frame)
            self._said_bye = self._said_bye or shown[0] == "bye"
            if shown[0] == "unregister" and self._stopped:
                self._peer.write(encode([b"unregistered", shown[1]]))
            else:
                self._frames.append(shown)

    def _next(self, *wanted: Any) -> Any:
        """The next frame; where order does not matter, the next that is C{wanted}."""
        for _ in range(200):
            for number, frame in enumerate(self._frames):
                if matches(list(wanted), frame):
                    return self._frames.pop(number)
                if frame[0] in self._may:
                    continue
                if not self._session.get("unordered"):
                    raise AssertionError(f"wanted {wanted}, got {str(self._frames)[:500]}")
            before = len(self._frames)
            self._fill(True)
            if len(self._frames) == before and not self._stopped:
                break
        raise AssertionError(f"wanted {wanted}, there is {str(self._frames)[:500]}")

    def _send(self, data: str) -> None:
        pieces = octets(data)
        if not self._bytewise:
            self._peer.write(pieces)
            return
        for number in range(len(pieces)):
            self._peer.write(pieces[number : number + 1])

    def _expect(self, frame: list[Any]) -> None:
        self._next(*frame)

    def _body(self, exchange: int, data: str) -> None:
        got = ""
        while len(got) < len(data):
            got += self._next("body", exchange)[2]
        assert got == data, got

    def _credit(self, exchange: int, low: int, high: int) -> None:
        amount = self._next("credit", exchange)[2]
        assert low <= amount <= high, amount

    def _response(self, exchange: int, status: int, headers: Any, body: str, trailers: Any) -> None:
        head = self._next("response", exchange)
        assert head[2] == status, head
        assert all(pair in head[3] for pair in headers), head
        if head[5] is not None:
            assert head[5] == body, head
            assert not trailers, head
            return
        self._body(exchange, body)
        end = self._next("end", exchange)
        assert (end[2] if len(end) > 2 else []) == trailers, end

    def _quiet(self) -> None:
        self._fill(False)
        loud = [frame for frame in self._frames if frame[0] not in self._may]
        assert not loud, loud

    def _stop(self) -> None:
        self._stopped = True
        self._peer.stop()

    def _over(self) -> None:
        self._fill(False)
        while not any(frame[0] == "bye" for frame in self._frames) and not self._said_bye:
            if self._peer.is_over():
                break
            self._fill(True)
        loud = [frame for frame in self._frames if frame[0] not in {*self._may, "bye"}]
        assert not loud, loud


def sessions() -> Iterator[dict[str, Any]]:
    """All conversations."""
    yield from load("sessions")["sessions"]
