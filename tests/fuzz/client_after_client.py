"""One client after the other of a proxy in memory, whose guest answers: what a fuzzer feeds."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from subproxy.wire import messages as m
from tests.fastpath.test_http2_differential import response
from tests.rigs.fake_dispatcher import Transport
from tests.rigs.fastpath_rig import Side

GONE = Failure(ConnectionDone())
ASKED = re.compile(rb"7:request,\d+:(\d+)#")


class Clients:
    """
    See above, and L{Side}.

    @ivar side: the proxy; another one when its guest was sent away for what it answers.
    @ivar connections: how many clients there were.
    @ivar answers: how many requests the guest was asked.
    """

    def __init__(self, chosen: Random) -> None:
        self._chosen = chosen
        self.side = Side(True, trust=["192.0.2.7"])
        self.connections = 0
        self.answers = 0
        self.connect()

    def connect(self) -> None:
        """The next one comes."""
        self.connections += 1
        self.transport = Transport("192.0.2.7")
        self.protocol: Any = self.side.factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> bool:
        """
        It says that, its guest answers most of what it is asked, and time passes.

        @return: whether the client is served on; else another one has come.
        """
        side: Any = self.side
        transport: Any = self.transport
        self.protocol.dataReceived(data)
        side.world.advance(0.001)
        said = []
        for number in ASKED.findall(side.guest_transport.value()):
            self.answers += 1
            if self.answers & 7:
                said.append(m.Response(int(number), 200, [], {}, b"hello").encode())
            elif self.answers & 8:
                said += [each.encode() for each in response(self._chosen, int(number))]
        if said:
            side.guest.dataReceived(b"".join(said))
        side.guest_transport.clear()
        side.world.advance(0)
        for _ in range(16):  # it has had its share of a turn, and waits for the next one
            if transport.producerState == "producing":
                break
            side.world.advance(0)
        transport.clear()
        side.log.waiting.take()
        if self._chosen.getrandbits(6) and self.protocol.close_reason is None:
            return True
        self.protocol.connectionLost(GONE)
        side.world.advance(0.5)
        side.guest_transport.clear()
        if side.guest_transport.disconnecting:  # it was sent away, for what it answers
            side.log.close()
            self.side = Side(True, trust=["192.0.2.7"])
        self.connect()
        return False
