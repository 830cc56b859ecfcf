"""Both paths of HTTP/2, with the same guest and the same client: what is compared, and how."""

from __future__ import annotations

import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import messages as m
from subproxy.wire.frames import FrameDecoder
from tests.rigs.fastpath_rig import PREFIX, Side
from tests.rigs.http2_client import Http2Client


class Http2Side(Side):
    """A proxy with one guest, whose client speaks HTTP/2."""

    def __init__(self, fast: bool, **options: Any) -> None:
        self.fast = fast
        self.asked: list[m.Request] = []
        self.aborted: set[int] = set()
        self.frames = FrameDecoder(1 << 20)
        self.ids: dict[bytes, bytes] = {}
        super().__init__(fast, **options)

    def connect(self) -> None:
        if not self.fast:
            self.factory.buildProtocol = (  # type: ignore[method-assign]
                lambda addr: self.factory.build_http2()
            )
        self.client = Http2Client()
        self.sent: dict[int, list[m.Message]] = {}
        super().connect()
        self.say(self.client.take())

    def say(self, data: bytes) -> None:
        """The client says that, in one read; then the turn ends."""
        if data and not self.gone:
            self.protocol.dataReceived(data)
        self.turn()

    def turn(self) -> None:
        """The reactor turns: guests and clients get what was written."""
        for _ in range(3):
            self.world.advance(0)
            came = self.renamed(self.guest_transport.value())
            self.guest_transport.clear()
            self.frames.feed(came)
            while (frame := self.frames.next()) is not None:
                event = m.parse(frame)
                self.guest_told(event)
                if isinstance(event, m.Request):
                    self.asked.append(event)
                elif isinstance(event, m.Abort):
                    self.aborted.add(event.exchange)
            self.client.receive(self.renamed(self.transport.value()))
            self.transport.clear()
            more = self.client.take()
            if not more:
                break
            if not self.gone:
                self.protocol.dataReceived(more)

    def guest_told(self, event: m.Message) -> None:
        """Keep what the guest was told of each exchange, however a body was cut."""
        told = self.sent.setdefault(getattr(event, "exchange", 0), [])
        if isinstance(event, m.Body) and told and isinstance(told[-1], m.Body):
            event = m.Body(event.exchange, told.pop().data + event.data)
        told.append(event)

    def renamed(self, data: bytes) -> bytes:
        """C{data} with ids in the order in which they are told: Python makes one for a request
        whose body is still to come, the compiled path when it is here."""

        def renamed_id(found: re.Match[bytes]) -> bytes:
            return self.ids.setdefault(found[0], PREFIX + b"-%08x" % len(self.ids))

        return re.sub(PREFIX + b"-[0-9a-f]{8}", renamed_id, data)

    def answer(self, *messages: m.Message) -> None:
        """The guest says that, in one read."""
        self.guest.dataReceived(b"".join([message.encode() for message in messages]))
        self.turn()

    def observed(self) -> dict[str, object]:
        """All that can be seen from outside."""
        seen = self.seen()
        seen["client"] = {number: told for number, told in self.client.told.items() if told}
        seen["bodies"] = self.client.bodies
        seen["guest"] = self.sent
        seen["log"] = (self.renamed(seen["log"][0]), *seen["log"][1:])  # type: ignore[index]
        return seen


class Http2PairCase(SynchronousTestCase):
    """One conversation is played to both."""

    def pair(self, **options: Any) -> list[Http2Side]:
        return [Http2Side(True, **options), Http2Side(False, **options)]

    def same(self, sides: list[Http2Side], where: object) -> dict[str, object]:
        """Compare all that can be seen."""
        fast, slow = (side.observed() for side in sides)
        for key, value in fast.items():
            self.assertEqual(value, slow[key], (where, key))
        return fast
