"""A frontend in memory whose client speaks HTTP/2, on the Python path, and the guests behind it."""

from __future__ import annotations

from collections.abc import Callable

from subproxy.frontend.http2.protocol import Http2Protocol
from subproxy.frontend.limits import HttpLimits
from tests.rigs.fake_dispatcher import Client, FakeGuest, Transport
from tests.rigs.http2_client import GET, POST, Headers, Http2Client
from tests.rigs.http_oracle import Recorder


def hello(guest: FakeGuest) -> None:
    """Answer a request."""
    guest.respond(200, [(b"Content-Type", b"text/plain")], b"hello")


class Http2Rig(Client):
    """
    See above; guests are those of L{Client}.

    @ivar client: the client.
    @ivar log: what was logged.
    """

    protocol: Http2Protocol

    def __init__(
        self,
        answer: Callable[[FakeGuest], None] | None = None,
        limits: HttpLimits | None = None,
        window: bool = True,
        trust: list[str] | None = None,
        greet: bool = True,
    ) -> None:
        self.log = Recorder()
        super().__init__(answer, limits, trust, self.log)
        self.lose()
        self.transport = Transport("192.0.2.7")
        self.protocol = self.factory.build_http2()
        self.protocol.makeConnection(self.transport)
        self.client = Http2Client(window)
        if not greet:
            self.client.take()
        self.turn()

    def turn(self) -> None:
        """What the client has to say goes out, and what the proxy has written comes in."""
        self.client.converse(self.protocol, lambda: self.clock.advance(0), self.received)

    def ask(self, number: int = 1, fields: Headers = GET, ended: bool = True) -> None:
        """Open a stream."""
        self.client.request(number, fields, ended)
        self.turn()

    def upload(
        self, number: int, data: bytes, ended: bool = True, more: Headers | None = None
    ) -> None:
        """A request with a body, which comes with it."""
        self.client.request(number, [*POST, *(more or [])], False)
        self.client.h2.send_data(number, data, end_stream=ended)
        self.turn()

    def send_data(self, number: int, data: bytes, ended: bool = False) -> None:
        """Some of a body."""
        self.client.h2.send_data(number, data, end_stream=ended)
        self.turn()

    def say(self, *frames: bytes) -> None:
        """Frames of which python's h2 knows nothing."""
        for frame in frames:
            self.protocol.dataReceived(frame)
        self.turn()

    def later(self, seconds: float) -> None:
        """Time passes, with its sweeps."""
        while seconds > 0:
            self.clock.advance(min(0.5, seconds))
            seconds -= 0.5
            self.turn()

    @property
    def goaways(self) -> list[tuple[int, int]]:
        """Code and last stream of each GOAWAY."""
        return [what[1:] for what in self.client.told.get(0, []) if what[0] == "goaway"]
