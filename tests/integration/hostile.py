"""
Guests that attack, over the wire and the real sockets; each is a class with one method.

An attack goes on until it is told to stop, dialling again whenever it is thrown out: what the
proxy owes is that the others do not notice.
"""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import time
from pathlib import Path

from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role
from tests.integration.attack import HOST, Attack, encode
from tests.integration.attack_apart import tell
from tests.integration.harness import wait_until


class RegistrationFlood(Attack):
    """Registers as fast as it can, new patterns each time."""

    def attack(self) -> None:
        """See there."""
        self.greet(register=False)
        number = 0
        while not self.ending:
            for _ in range(100):
                number += 1
                self.wire.send(m.Register(number, b"[a-z]{1,9}x%d\\.example" % number, b"/.*"))
            self.push(self.wire.data_to_send())
            self.discard()


class CostlyPatterns(Attack):
    """Registers patterns that are long to read and never taken, each time another."""

    def attack(self) -> None:
        """See there."""
        self.greet(register=False)
        number = 0
        beginnings = (b"(a|b)" * 200, b"[^a]" * 250, b"(a?b)*" * 165, b"[a-z]{9}" * 120, b"x" * 990)
        while not self.ending:
            for beginning in beginnings * 20:
                number += 1
                source = beginning + rb"\PN%d" % number
                self.wire.send(m.Register(number, source, b"/(" + source[:900] + b")"))
            self.push(self.wire.data_to_send())
            self.discard()


class CostlyRequests(Attack):
    """Takes as many routes as it gets that one path nearly matches, and has it asked for."""

    asked = True
    path = "/" + "a" * 1000

    def attack(self) -> None:
        """See there."""
        self.greet(register=False)
        for number in range(2, 250):
            self.wire.send(m.Register(number, HOST, b"/.*" + b"a" * 476 + b"%d" % number))
        for number in range(250, 400):
            self.wire.send(m.Register(number, HOST, b"/(a|b|%d)*b.*a" % number))
        self.push(self.wire.data_to_send())
        for _ in self.hear():
            pass


class TinyFrames(Attack):
    """A million of the smallest messages there are."""

    def attack(self) -> None:
        """See there."""
        self.greet()
        frames = encode([b"pong", b"x"]) * 5000
        while not self.ending:
            self.push(frames)
            self.discard()


class HugeFrames(Attack):
    """Claims lengths that are not to be had, negative, endless and nested ones."""

    def attack(self) -> None:
        """See there."""
        self.greet()
        claim = random.choice([b"9999999:", b"99999999999999999999:", b"-1:", b"7" * 100_000])
        nested = b"0:]"
        for _ in range(200):
            nested = b"%d:%b]" % (len(nested), nested)
        self.push(random.choice([claim + b"x" * 1_000_000, nested]))
        for _ in self.hear():
            pass


class NeverPongs(Attack):
    """Takes requests, and is silent."""

    asked = True

    def attack(self) -> None:
        """See there."""
        self.greet()
        end = time.monotonic() + 3
        while not self.ending and time.monotonic() < end:
            time.sleep(0.05)
            self.discard()


class NoCredit(Attack):
    """Takes uploads, grants no credit and reads nothing."""

    asked = True
    limits = Limits(window=1)

    def attack(self) -> None:
        """See there."""
        self.greet()
        while not self.ending:
            time.sleep(0.05)


class SplitsResponses(Attack):
    """Answers with line feeds, lengths and codings that are not its own to say."""

    asked = True
    _evil = (
        [(b"x", b"1\r\nSet-Cookie: a=b")],
        [(b"x\r\ny", b"1")],
        [(b"x", b"\0")],
        [(b"content-length", b"5")],
        [(b"content-length", b"1"), (b"content-length", b"2")],
        [(b"transfer-encoding", b"chunked")],
        [(b"connection", b"close, x-request-id")],
    )

    def attack(self) -> None:
        """See there."""
        self.greet()
        for event in self.hear():
            if isinstance(event, m.Request):
                body = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                fields = random.choice(self._evil)
                head = [list(field) for field in fields]
                self.push(encode([b"response", event.exchange, 200, head, {}, body]))


class BeyondCredit(Attack):
    """Streams bodies without regard to credit, for exchanges that are not there too."""

    asked = True

    def attack(self) -> None:
        """See there."""
        self.greet()
        for event in self.hear():
            if isinstance(event, m.Request):
                self.push(encode([b"response", event.exchange, 200, [], {}, None]))
                piece = encode([b"body", event.exchange, b"x" * 16000])
                stray = encode([b"body", event.exchange + 1000, b"x" * 16000])
                self.push((piece + stray) * 50)


class ConnectionFlood(Attack):
    """Dials as fast as it can, and says nothing."""

    def attack(self) -> None:
        """See there."""
        held = []
        try:
            while not self.ending and len(held) < 1000:
                dialled = socket.socket(socket.AF_UNIX)
                dialled.settimeout(0.2)
                try:
                    dialled.connect(self._path)
                except OSError:
                    dialled.close()
                    break
                held.append(dialled)
            time.sleep(0.2)
        finally:
            for each in held:
                each.close()


class ForgedTokens(Attack):
    """Opens data connections that nobody asked for."""

    def attack(self) -> None:
        """See there."""
        self.push(encode([b"connect", b"%x" % random.getrandbits(64), {}]))
        for _ in self.hear():
            pass


class Replays(Attack):
    """Says the same C{hello} over and over: a session that was recorded."""

    def attack(self) -> None:
        """See there."""
        hello = {b"application": b"evil", b"instance": b"recorded"}
        self.say(m.Hello({**limits_info(self.limits), **hello}), m.Register(1, HOST, b"/.*"))
        self.discard()
        time.sleep(0.01)


class Garbage(Attack):
    """Anything."""

    def attack(self) -> None:
        """See there."""
        self.push(random.randbytes(100_000))
        for _ in self.hear():
            pass


class OnManyConnections(Attack):
    """The same bytes on fifty connections, each an instance of its own."""

    connections = 50

    def frames(self) -> bytes:
        """What is sent over and over."""
        raise NotImplementedError

    def attack(self) -> None:
        """See there."""
        frames = self.frames()
        dialled = [self.socket]
        try:
            while len(dialled) < self.connections:
                dialled.append(socket.socket(socket.AF_UNIX))
                dialled[-1].settimeout(0.2)
                dialled[-1].connect(self._path)
            for number, each in enumerate(dialled):
                wire = WireConnection(Role.GUEST, self.limits)
                hello = {b"application": b"evil%d" % number, b"instance": b"%x" % id(wire)}
                wire.send(m.Hello({**limits_info(self.limits), **hello}))
                each.sendall(wire.data_to_send())
                each.setblocking(False)
            at = [0] * len(dialled)
            while not self.ending:
                sent = 0
                for number, each in enumerate(dialled):
                    with contextlib.suppress(BlockingIOError):
                        sent += (count := each.send(frames[at[number] :]))
                        at[number] = (at[number] + count) % len(frames)
                    with contextlib.suppress(BlockingIOError):
                        if not each.recv(65536):
                            raise ConnectionResetError
                self.sent += sent
                if not sent:
                    time.sleep(0.001)
        finally:
            for each in dialled[1:]:
                each.close()


class ManyElements(OnManyConnections):
    """Frames of as many elements as there may be, of a verb that nobody knows."""

    def frames(self) -> bytes:
        """See there."""
        return encode([b"zzz", *[[]] * 1023]) * 80


class TooManyElements(OnManyConnections):
    """The longest frames, of 80,000 empty lists."""

    def frames(self) -> bytes:
        """See there."""
        return encode([b"zzz", *[[]] * 80_000])


class PartialFrames(OnManyConnections):
    """Frames that are never complete."""

    connections = 200

    def frames(self) -> bytes:
        """See there."""
        return b"262144:" + b"x" * 262_000

    def attack(self) -> None:
        """See there."""
        held = []
        try:
            while not self.ending and len(held) < self.connections:
                held.append(socket.socket(socket.AF_UNIX))
                held[-1].settimeout(0.2)
                held[-1].connect(self._path)
                self.sent += held[-1].send(self.frames())
            time.sleep(0.2)
        finally:
            for each in held:
                each.close()


class EndlessHints(Attack):
    """Interim responses without end, to whoever asks."""

    asked = True

    def attack(self) -> None:
        """See there."""
        self.greet()
        for event in self.hear():
            if isinstance(event, m.Request):
                hints = encode([b"response", event.exchange, 103, [[b"link", b"x" * 900]], {}, b""])
                self.push(hints * 1000)


class TinyPieces(Attack):
    """Bodies in pieces of one byte, as far as credit goes."""

    asked = True

    def attack(self) -> None:
        """See there."""
        self.greet()
        for event in self.hear():
            if isinstance(event, m.Request):
                self.push(encode([b"response", event.exchange, 200, [], {}, None]))
                self.push(encode([b"body", event.exchange, b"x"]) * 65_536)


class Behaves(Attack):
    """No attack: it answers as it should. What its clients alone cost a victim."""

    asked = True

    def attack(self) -> None:
        """See there."""
        self.greet()
        for event in self.hear():
            if isinstance(event, m.Request):
                self.push(encode([b"response", event.exchange, 200, [], {}, b"ok"]))


ATTACKS: tuple[type[Attack], ...] = (
    RegistrationFlood,
    CostlyPatterns,
    CostlyRequests,
    TinyFrames,
    HugeFrames,
    NeverPongs,
    NoCredit,
    SplitsResponses,
    BeyondCredit,
    ConnectionFlood,
    ForgedTokens,
    Replays,
    Garbage,
    ManyElements,
    TooManyElements,
    PartialFrames,
    EndlessHints,
    TinyPieces,
)


def main() -> None:
    """C{python -m tests.integration.hostile NAME VSOCK}: see L{AttackApart}."""
    name, vsock = sys.argv[1:]
    kind = next(kind for kind in (*ATTACKS, Behaves) if kind.__name__ == name)
    attack = kind(Path(vsock))
    attack.start()
    wait_until(lambda: attack.dialled, "the first connection")
    tell(attack)


if __name__ == "__main__":
    main()
