"""
The ways of the last requests, by their ids: what an operator asks who has one of them.

It is the newest of what the access log has written, kept in memory as it was written: a request
costs nothing more than its line, on the compiled path too, and a flush of the log an entry in a
queue. What a line does not tell, and few requests have (who had it before, that it waited), is kept
beside the lines that it belongs to, and goes with them.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from subproxy.core.balancing.member import Member, is_worker
from subproxy.core.printable import printable
from subproxy.telemetry.exchange_record import ExchangeRecord
from subproxy.telemetry.log_format import guest_time
from subproxy.telemetry.log_reader import parsed

Data = dict[str, Any]

MOST = 2 << 20
"""Bytes of lines, and of what is beside them, that are kept: ten thousand requests, or so."""

BUSY = 256 << 10
"""Likewise while much is written: more would push out of the processor's cache what serves."""

FULL = 16 << 10
"""Bytes that are written at once, from which that is much: else a second's lines are."""

NOTED = 1024
"""Bytes that what is kept beside a line counts for: about what it takes."""

MOST_FOUND = 20
"""Requests that are told of one id, the newest ones: a trace may have many."""

_ID = re.compile(r"[A-Za-z0-9_.:/+=@-]{1,128}")


class Detour(NamedTuple):
    """
    What the line of a request does not tell that did not go to a guest at once, and to one alone.

    @ivar host: for which it was.
    @ivar queued: seconds, as C{wake} and C{guest}: see L{subproxy.core.exchange.Exchange}.
    @ivar trace: that it is part of, if any.
    @ivar tried: the identities of those that had it before.
    """

    host: bytes
    attempts: int
    queued: float
    wake: float
    guest: float | None
    trace: bytes
    tried: tuple[str, ...]

    def told(self) -> Data:
        """As it is told."""
        return {
            "host": printable(self.host, unambiguous=True),
            "attempts": self.attempts,
            "queued": round(self.queued, 6),
            "wake": round(self.wake, 6),
            "guest": self.guest,
            "trace": self.trace.decode("latin-1") or None,
            "tried": [printable(identity) for identity in self.tried],
        }


def detour(
    host: bytes,
    attempts: int,
    queued: float,
    guest: float | None,
    trace: bytes,
    taken_from: Sequence[Member],
    wake: float = 0.0,
) -> Detour:
    """The L{Detour} of a request that was taken from those members."""
    tried = tuple(member.identity for member in taken_from if not is_worker(member))
    return Detour(host, attempts, queued, wake, guest, trace, tried)


class RecentRequests:
    """
    See above.

    @param most: bytes that are kept, but for those of the last flush.
    @param busy: likewise while much is written.
    """

    def __init__(self, most: int = MOST, busy: int = BUSY) -> None:
        self._most = most
        self._busy = min(most, busy)
        self._size = 0
        self._blocks: deque[tuple[bytes, dict[str, Detour]]] = deque()
        self._notes: dict[str, Detour] = {}

    def note(self, record: ExchangeRecord) -> None:
        """The line of C{record} is among those that are kept next."""
        exchange = record.exchange
        if not (exchange.queued or exchange.wake or exchange.attempts > 1 or exchange.taken_from):
            return
        request = exchange.request
        self.remember(
            request.request_id,
            detour(
                request.host,
                exchange.attempts,
                exchange.queued,
                guest_time(record),
                request.trace,
                exchange.taken_from,
                exchange.wake,
            ),
        )

    def remember(self, request_id: bytes, detour: Detour) -> None:
        """Likewise, of a request of the compiled path: C{detour} is the way that it took."""
        self._notes[request_id.decode("latin-1")] = detour

    def keep(self, lines: bytes) -> None:
        """These have been written."""
        self._blocks.append((lines, self._notes))
        self._size += _size(*self._blocks[-1])
        self._notes = {}
        most = self._most if len(lines) < FULL else self._busy
        while self._size > most and len(self._blocks) > 1:
            self._size -= _size(*self._blocks.popleft())

    def find(self, about: str) -> list[Data]:
        """
        The requests whose id, or whose trace, is C{about}, the newest first.

        @return: what the JSON format has of each, and C{tried}, those that had it before. What the
            combined format does not tell, C{host} of most, C{guest} and C{trace}, is None there.
        """
        found: list[Data] = []
        if not _ID.fullmatch(about):
            return found
        needle = about.encode()
        for lines, notes in reversed(self._blocks):
            at = lines.rfind(needle)
            while at >= 0 and len(found) < MOST_FOUND:
                begin = lines.rfind(b"\n", 0, at) + 1
                end = lines.find(b"\n", at)
                data = parsed(lines[begin : len(lines) if end < 0 else end].decode("latin-1"))
                if data is not None:
                    way = _way(data, notes.get(str(data["id"])))
                    if about in (way["id"], way["trace"]):
                        found.append(way)
                at = lines.rfind(needle, 0, begin)
        return found


def _size(lines: bytes, notes: dict[str, Detour]) -> int:
    return len(lines) + NOTED * len(notes)


def _way(line: Data, detour: Detour | None) -> Data:
    """All that is known of a request."""
    unnoted: Data = {
        "host": None,
        "attempts": 0 if line["subscriber"] == "-" else 1,
        "queued": 0.0,
        "wake": 0.0,
        "guest": None,
        "trace": None,
        "tried": [],
    }
    return {**(unnoted if detour is None else detour.told()), **line}
