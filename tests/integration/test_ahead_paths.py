"""
Bodies whose token goes with the request, on the compiled path and on the Python path.

As L{tests.integration.test_body_paths}: the same is seen of both, whatever goes wrong, of a guest
that uses such tokens, and of one that takes them and never does.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from subproxy.wire.info import token_ahead
from tests.integration import test_body_paths as paths
from tests.integration.body_guest import DataLine
from tests.integration.test_body_paths import BODY, GET, HALF, PUT, SIZE

skip = unavailable()


class AheadPlay(paths.Play):
    """With a guest that takes tokens with requests."""

    ahead = True

    def asked(self) -> m.Request:
        found = super().asked()
        self.seen.append(token_ahead(found.info) is not None)
        return found

    def expected(self, fields: bytes = b"") -> tuple[int, bytes]:
        """A client asks, and there is a token: the number, and that."""
        request = self.ask(GET % (b"down", fields))
        token = token_ahead(request.info)
        assert token is not None
        return request.exchange, token

    def head(self, number: int, length: int = SIZE) -> None:
        """The guest answers, and uses the token."""
        body = {b"length": length, b"ahead": True}
        self.guest.say(m.Response(number, 200, [(b"X-A", b"b")], {}, body))

    def claimed(self, fields: bytes = b"") -> tuple[int, DataLine]:
        """The same, and the guest has claimed it already."""
        number, token = self.expected(fields)
        line = self.claim(number, token)
        self.settle()
        return number, line

    def large(self) -> None:
        """A large answer that uses no token: there is one for the next, then."""
        request = self.ask(GET % (b"large", b""))
        line = self.claim(request.exchange, self.answer(request.exchange))
        line.socket.sendall(BODY)
        self.seen.append(line.frame())
        self.guest.end(request.exchange, SIZE)
        self.got()

    def settle(self) -> None:
        # With an answer that leaves things as they are.
        client, self.client = self.client, self.connect()
        request = self.ask(PUT % (b"settle", 1) + b"x")
        self.guest.say(m.Response(request.exchange, 200, [], {}, b"hello"))
        self.got()
        self.client.close()
        self.client = client


def used(play: paths.Play) -> None:
    """Head, claim, body and end, in any order."""
    assert isinstance(play, AheadPlay)
    for order in ("hcbe", "chbe", "cbhe", "hceb", "cheb", "hecb"):
        number, token = play.expected()
        for each in order:
            if each == "h":
                play.head(number)
            elif each == "c":
                line = play.claim(number, token)
            elif each == "b":
                line.socket.sendall(BODY)
            else:
                play.guest.end(number, SIZE)
            if each != order[-1]:
                play.settle()
        play.seen.append(line.frame())
        play.got()
        play.large()


def small(play: paths.Play) -> None:
    """Small answers, after which there are no tokens; claimed before that or not."""
    for _ in range(5):
        play.hello(play.ask(GET % (b"small", b"")).exchange)
        play.got()


def small_and_claimed(play: paths.Play) -> None:
    assert isinstance(play, AheadPlay)
    number, line = play.claimed()
    play.hello(number)
    play.got()
    play.seen.append(line.frame())


def little(play: paths.Play) -> None:
    """A body that is not worth a splice; one of HEAD; one that has none."""
    assert isinstance(play, AheadPlay)
    for claim in (True, False):
        number, token = play.expected()
        if claim:
            line = play.claim(number, token)
            play.settle()
        play.head(number, 1000)
        if not claim:
            line = play.claim(number, token)
        line.socket.sendall(BODY[:1000])
        play.seen.append(line.frame())
        play.guest.end(number, 1000)
        play.got()
    play.ask(GET.replace(b"GET", b"HEAD") % (b"head", b""))
    play.guest.say(m.Response(play.guest.wire.last, 200, [], {}, b""))
    play.client.close()
    play.connect()
    number, line = play.claimed()
    body = {b"length": SIZE, b"ahead": True}
    play.guest.say(m.Response(number, 304, [], {}, body))
    play.seen.append(play.guest.take(m.Abort).code)
    play.seen.append(line.frame())
    play.got(50)


def without(play: paths.Play) -> None:
    """No token, or no length: 502."""
    assert isinstance(play, AheadPlay)
    request = play.ask(PUT % (b"up", 1) + b"x")
    play.head(request.exchange)
    play.seen.append(play.guest.take(m.Abort).code)
    play.got()
    number, line = play.claimed()
    play.guest.say(m.Response(number, 200, [], {}, {b"ahead": True}))
    play.seen.append(play.guest.take(m.Abort).code)
    play.got()
    play.seen.append(line.frame())


def dialled(play: paths.Play) -> None:
    """By a connection that is new, which a guest should not."""
    assert isinstance(play, AheadPlay)
    assert play.line is not None
    for headed in (True, False):
        play.line.socket.close()
        play.line = None
        number, token = play.expected()
        if headed:
            play.head(number)
        line = play.claim(number, token)
        if not headed:
            line.socket.sendall(BODY[:HALF])
            play.settle()
            play.head(number)
        else:
            line.socket.sendall(BODY[:HALF])
        line.socket.sendall(BODY[HALF:])
        play.seen.append(line.frame())
        play.guest.end(number, SIZE)
        play.got()


def truncated(play: paths.Play) -> None:
    """The data connection ends before the head, and behind it."""
    assert isinstance(play, AheadPlay)
    for headed in (True, False):
        number, line = play.claimed()
        if headed:
            play.head(number)
        line.socket.sendall(BODY[:-1])
        line.socket.close()
        play.line = None
        if not headed:
            play.settle()
            play.head(number)
        play.seen.append(play.guest.take(m.Abort).code)
        play.got()
        play.connect()
        play.large()


def given_up(play: paths.Play) -> None:
    """The guest aborts, with the token out, and with it claimed."""
    assert isinstance(play, AheadPlay)
    play.expected()
    play.guest.say(m.Abort(play.guest.wire.last, b"error", b"no more"))
    play.got()
    number, line = play.claimed()
    play.guest.say(m.Abort(number, b"error", b"no more"))
    play.got()
    play.seen.append(line.frame())


def client_leaves(play: paths.Play) -> None:
    """With the token out; with it claimed; and closing its half alone, in both."""
    assert isinstance(play, AheadPlay)
    for claimed in (True, False):
        for half in (True, False):
            number, token = play.expected()
            if claimed:
                line = play.claim(number, token)
                play.settle()
            if half:
                play.client.shutdown(socket.SHUT_WR)
                play.settle()
                play.head(number)
                if not claimed:
                    line = play.claim(number, token)
                line.socket.sendall(BODY)
                play.seen.append(line.frame())
                play.guest.end(number, SIZE)
                play.got()
            else:
                play.client.close()
                play.seen.append(play.guest.take(m.Abort).code)
                if claimed:
                    play.seen.append(line.frame())
                    play.line = None
            play.client.close()
            play.connect()
            play.large()


def guest_gone(play: paths.Play) -> None:
    """With the token out, and claimed."""
    assert isinstance(play, AheadPlay)
    number, line = play.claimed()
    play.head(number)
    line.socket.sendall(BODY[:HALF])
    play.settle()
    play.guest.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        line.socket.sendall(BODY[HALF:])
    play.got()


SCENES: tuple[Callable[[paths.Play], None], ...] = (
    *(used, small, small_and_claimed, little, without, dialled, truncated),
    *(given_up, client_leaves, guest_gone),
)


class AheadPathTests(paths.BodyPathTests):
    """On the reactor of io_uring, as the others are; with the scenes of all bodies, too."""

    play = AheadPlay
    scenes = (*SCENES, *paths.SCENES)


class AheadPathCompiledEpollTests(AheadPathTests):
    """On the compiled reactor on epoll."""

    reactor = "compiled_epoll"
    scenes = SCENES
