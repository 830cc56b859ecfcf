"""
How soon every other host of a cluster answers for what a guest has registered at one.

    python -m tests.integration.registration_times [--registrations N] [--workers N]

prints, of three hosts with a member of etcd each (L{NetworkCluster}), how long it took from the
guest's C{registered} to the first right answer at another host, and until each of some connections
to it had one. It wants root. C{test_cluster_cuts} looks at what is answered until then.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.states import Role
from tests.integration.namespaces import NetworkHost
from tests.integration.network_cluster import NetworkCluster

PAUSE = 0.001
"""Seconds between an answer and the next request of a client who is not answered rightly yet."""
LONGEST = 30.0
"""Seconds after which nothing is waited for any more."""


def name_of(number: int) -> str:
    """The host of that number."""
    return f"r{number}.example"


class RegisteringGuest:
    """A guest, over the wire alone, that registers what it is told, and answers with its name."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LONGEST)
        self.socket.connect(str(path))
        self._wire = WireConnection(Role.GUEST)
        hello = {b"application": name.encode(), b"instance": b"1"}
        self._wire.send(m.Hello({**limits_info(self._wire.limits), **hello}))
        self._reference = 0
        self._registered = 0

    def register(self, host: str) -> float:
        """Register that host; when that was granted, in monotonic seconds."""
        self._reference += 1
        pattern = host.replace(".", "\\.").encode()
        self._wire.send(m.Register(self._reference, pattern, b"/.*"))
        self._flush()
        while self._registered < self._reference:
            self.readable()
        return time.monotonic()

    def readable(self) -> None:
        """Something came, or will."""
        data = self.socket.recv(65536)
        assert data, "the proxy has hung up"
        self._wire.feed(data)
        while (event := self._wire.next_event()) is not None:
            match event:
                case m.Ping():
                    self._wire.send(m.Pong(event.nonce))
                case m.Registered():
                    self._registered = event.reference
                case m.Request():
                    body = self.name.encode()
                    self._wire.send(m.Response(event.exchange, 200, [], {}, body))
                case m.Refused():
                    raise AssertionError(event)
        self._flush()

    def _flush(self) -> None:
        self.socket.sendall(self._wire.data_to_send())


@dataclass
class AskingClient:
    """
    A connection to a host, on which the same is asked until the right guest answers.

    @ivar answers: all of them: a status, or what a guest has said.
    @ivar at: when the right one came, in monotonic seconds.
    """

    host: NetworkHost
    socket: socket.socket
    answers: list[str] = field(default_factory=list)
    at: float = 0.0
    _due: float = 0.0
    _data: bytes = b""

    def ask(self, host: str, now: float) -> None:
        """Ask, unless there is no answer yet, or there was one just now."""
        if not self.at and now >= self._due:
            self._due = now + LONGEST
            self.socket.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())

    def again(self) -> None:
        """There is something else to ask for."""
        self.answers = []
        self.at = self._due = 0.0

    def readable(self, wanted: str) -> None:
        """An answer came, or part of it."""
        came = self.socket.recv(65536)
        assert came, f"{self.host.name} has hung up"
        self._data += came
        head, separator, body = self._data.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not separator or len(body) < int(length):
            return
        self._data = b""
        status = head[9:12].decode()
        self.answers.append(body.decode() if status == "200" else status)
        now = time.monotonic()
        if self.answers[-1] == wanted:
            self.at = now
        self._due = now + PAUSE


@dataclass(frozen=True)
class FirstAnswers:
    """
    What became of one.

    @ivar first: seconds until a client of another host was answered rightly, by host.
    @ivar last: seconds until all of them were.
    @ivar answers: of each client, up to the right one.
    """

    first: dict[str, float]
    last: dict[str, float]
    answers: list[list[str]]


class RegistrationRig:
    """
    Guests of all hosts, and clients.

    @param clients: connections to each host.
    """

    def __init__(self, stack: ExitStack, hosts: Iterable[NetworkHost], clients: int) -> None:
        self._hosts = list(hosts)
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._guests = []
        self._clients = []
        for host in self._hosts:
            guest = RegisteringGuest(Path(f"{host.vsock}_12345"), host.name)
            stack.callback(guest.socket.close)
            self._guests.append(guest)
            self._selector.register(guest.socket, selectors.EVENT_READ, guest)
            for _ in range(clients):
                made = stack.enter_context(host.connect())
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._clients.append(AskingClient(host, made))
                self._selector.register(made, selectors.EVENT_READ, self._clients[-1])

    def register(self, number: int) -> FirstAnswers:
        """Let a guest register host C{number}, and wait until all other hosts answer for it."""
        since = self._guest(number).register(name_of(number))
        asked = self._ask(number)
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        for each in sorted(asked, key=lambda each: each.at):
            first.setdefault(each.host.name, each.at - since)
            last[each.host.name] = each.at - since
        return FirstAnswers(first, last, [each.answers for each in asked])

    def answers(self, number: int) -> list[list[str]]:
        """What all clients of other hosts are answered, up to the right one."""
        return [each.answers for each in self._ask(number)]

    def _guest(self, number: int) -> RegisteringGuest:
        return self._guests[number % len(self._guests)]

    def _ask(self, number: int) -> list[AskingClient]:
        guest = self._guest(number)
        asking = [each for each in self._clients if each.host.name != guest.name]
        for each in asking:
            each.again()
        end = time.monotonic() + LONGEST
        while any(not each.at for each in asking):
            now = time.monotonic()
            if now > end:
                raise AssertionError(f"{number}: {[each.answers[-3:] for each in asking]}")
            for each in asking:
                each.ask(name_of(number), now)
            for key, _ in self._selector.select(PAUSE):
                if isinstance(key.data, AskingClient):
                    key.data.readable(guest.name)
                else:
                    key.data.readable()
        return asking


def told(name: str, seconds: list[float]) -> str:
    """A line of a distribution."""
    ordered = sorted(seconds)
    shares = ((share, ordered[int(share * (len(ordered) - 1))]) for share in (0.5, 0.9, 0.99, 1.0))
    return f"{name}, {len(ordered)}: " + ", ".join(
        f"p{share * 100:.0f} {value * 1e3:.1f} ms" for share, value in shares
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[1])
    parser.add_argument("--registrations", type=int, default=51)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--clients", type=int, default=0, help="of each host")
    asked = parser.parse_args()
    with ExitStack() as stack:
        cluster = NetworkCluster(stack.callback, 3, asked.workers)
        cluster.join()
        clients = asked.clients or (1 if asked.workers == 1 else 8)
        registrations = RegistrationRig(stack, cluster.hosts, clients)
        found = []
        for number in range(asked.registrations):
            found.append(registrations.register(number))
            time.sleep(0.1)
        first = [seconds for each in found for seconds in each.first.values()]
        print(told("first right answer at another host", first))
        if clients > 1:
            name = f"right answer on all {clients} connections to another host"
            print(told(name, [seconds for each in found for seconds in each.last.values()]))


if __name__ == "__main__":
    main()
