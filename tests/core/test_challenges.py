"""Tests of subproxy.core.challenges."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.challenges import challenge_answer
from tests.rigs.world import World

PATH = b"/.well-known/acme-challenge/"
FINDERS = ({b"one": b"1"}.get, {b"one": b"2", b"two-_": b"3"}.get)


class ChallengesTests(SynchronousTestCase):
    def test_known(self) -> None:
        for token, answer in ((b"one", b"1"), (b"two-_", b"3"), (b"three", None)):
            self.assertEqual(challenge_answer(FINDERS, b"GET", PATH + token), answer)
        self.assertEqual(challenge_answer(FINDERS, b"HEAD", PATH + b"one"), b"1")

    def test_what_is_none(self) -> None:
        """Whatever is no token is not looked for."""

        def find(token: bytes) -> bytes:
            raise AssertionError(token)

        for path in (
            b"/",
            PATH,
            PATH[:-1],
            PATH + b"a/b",
            PATH + b"..",
            PATH + b"%2E",
            PATH + b"a.b",
            PATH.replace(b"acme", b"ACME") + b"a",
        ):
            self.assertIsNone(challenge_answer((find,), b"GET", path))
        self.assertIsNone(challenge_answer((find,), b"POST", PATH + b"a"))

    def test_dispatched(self) -> None:
        """Before routes and rules; what is not known is a request like any other."""
        world = World()
        world.dispatcher.challenges.append(FINDERS[0])
        guest = world.serving()
        _, sink = world.ask(target=PATH + b"one")
        self.assertEqual((sink.body, sink.complete), (b"1", True))
        assert sink.head is not None
        self.assertEqual(sink.head.status, 200)
        self.assertEqual(
            sink.head.headers,
            [(b"Content-Type", b"application/octet-stream"), (b"Cache-Control", b"no-store")],
        )
        world.ask(target=PATH + b"other")
        guest.pump()
        self.assertEqual(len(guest.events), 1)
