"""What a reload changes for the compiled path: who is believed, who chooses, what is allowed."""

from __future__ import annotations

from subproxy.core.balancing.balancer import RoundRobin
from subproxy.core.balancing.member import Member, Pool
from subproxy.core.http.forwarded import Trust
from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.wire import messages as m
from subproxy.wire.frames import decode
from tests.rigs.conversation_case import GET, ConversationCase
from tests.rigs.fastpath_rig import response

skip = unavailable()


class Counting(RoundRobin):
    """Counts how often it is asked."""

    __slots__ = ("asked",)

    def __init__(self) -> None:
        self.asked = 0

    def choose(self, pool: Pool, *rest: object) -> Member | None:  # type: ignore[override]
        self.asked += 1
        return super().choose(pool, *rest)  # type: ignore[arg-type]


class ReloadedTests(ConversationCase):
    def test_who_is_believed(self) -> None:
        """Clients that connect from now on; those that are there stay what they were."""
        pair = self.pair()
        asked = GET.replace(b"Accept: */*", b"X-Forwarded-For: 198.51.100.1")
        number = 0

        def told() -> bytes:
            nonlocal number
            number += 1
            pair.client(asked)
            frame: bytes = pair.last["guest"]  # type: ignore[assignment]
            pair.guest(response(number))
            client: bytes = decode(frame)[5][b"client"]
            return client

        self.assertEqual(told(), b"192.0.2.7")
        for side in pair.sides:
            side.factory.set_trust(Trust(["192.0.2.7"]))
        self.assertEqual(told(), b"192.0.2.7")
        pair.connect()
        self.assertEqual(told(), b"198.51.100.1")
        for side in pair.sides:
            side.factory.set_trust(Trust())
        pair.connect()
        self.assertEqual(told(), b"192.0.2.7")
        self.assertEqual(pair.stats["requests"], 4)

    def test_whose_word_about_others_is_believed(self) -> None:
        """From the next request on, also of a connection that is there, on both paths."""
        front, chain = ["192.0.2.7"], ["192.0.2.7", "10.0.0.0/8"]
        said = b"X-Forwarded-For: 198.51.100.1, 10.0.0.1"
        asked = GET.replace(b"Accept: */*", said)
        for before, after in (chain, front), (front, chain):
            pair = self.pair(trust=before)
            for number, trusted in enumerate((after, before, after), 1):
                pair.client(asked)
                for side in pair.sides:
                    side.factory.set_trust(Trust(trusted))
                # The log has who was told of to the guest.
                streamed = response(number, body=None) + m.End(number).encode()
                pair.guest(streamed if number == 2 else response(number))
            self.assertEqual(pair.stats["requests"], 2)
            self.assertEqual(pair.stats["declined_answers"], 1)

    def test_who_chooses(self) -> None:
        pair = self.pair()
        pair.client(GET)
        pair.guest(response(1))
        balancers = []
        for side in pair.sides:
            balancers.append(Counting())
            side.world.admission.balancer = balancers[-1]
            side.world.registry.outdate()
        pair.client(GET)
        pair.guest(response(2))
        self.assertEqual([each.asked for each in balancers], [1, 1])
        self.assertEqual(pair.stats["requests"], 2)

    def test_less_is_allowed(self) -> None:
        """What was accepted before goes on, also where the compiled path gives it up."""
        long = GET.replace(b"/x?y=1", b"/" + b"x" * 300)
        for less in (HttpLimits(fields=1), HttpLimits(target=200), HttpLimits(head=200)):
            pair = self.pair()
            pair.client(long)
            for side in pair.sides:
                side.factory.set_limits(less)
            pair.guest(response(1, body=None) + m.Body(1, b"more").encode() + m.End(1).encode())
            self.assertEqual(pair.stats["declined_answers"], 1)
            pair.client(long)
            self.assertEqual(pair.last["guest"], b"")
