"""What a reload changes for the compiled path: who is believed, who chooses."""

from __future__ import annotations

from subproxy.core.balancing.balancer import RoundRobin
from subproxy.core.balancing.member import Member, Pool
from subproxy.core.http.forwarded import Trust
from subproxy.wire.frames import decode
from tests.rigs.conversation_case import GET, ConversationCase, need_fastpath
from tests.rigs.fastpath_rig import response


def setUpModule() -> None:
    need_fastpath()


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
