"""Which worker a guest's connection is for."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.fields import Info
from subproxy.workers.guest_table import (
    GuestTable,
    InstanceKey,
    Placement,
    instance_of,
    token_prefix,
)


def hello(instance: bytes = b"i", **more: object) -> Info:
    """What a guest says."""
    info: Info = {b"version": 1, b"application": b"blog", b"instance": instance}
    return info | {name.encode(): value for name, value in more.items()}


def key(identity: str = "cid:7", instance: bytes = b"i", worker: int = 0) -> InstanceKey:
    """Who says it."""
    return InstanceKey(identity, b"blog", worker, instance)


class GuestTableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = GuestTable()
        self.slots = (0, 1, 2)
        for slot in self.slots:
            self.table.began(slot + 10, slot)

    def place(self, who: InstanceKey, **more: object) -> Placement:
        info = hello(who.instance, worker=who.worker, **more)
        return self.table.place(who, info, self.slots, 0.0)

    def test_instance_of(self) -> None:
        """What is no proper hello is left to a worker."""
        self.assertEqual(instance_of("cid:7", hello()), key())
        self.assertEqual(instance_of("cid:7", hello(worker=3)), key(worker=3))
        self.assertIsNone(instance_of("cid:7", {b"version": 1}))
        self.assertIsNone(instance_of("cid:7", hello(worker=b"x")))

    def test_a_wish(self) -> None:
        """Is granted if there is that slot; nobody is superseded then but by a newer instance."""
        self.assertEqual(self.place(key(), process=2), Placement(2))
        self.assertEqual(self.place(key(), process=1), Placement(1))
        self.assertEqual(self.place(key(), process=7).slot, 0)

    def test_without_a_wish(self) -> None:
        """Where it is already; else where its identity has least, and then where fewest are."""
        self.assertEqual(self.place(key()), Placement(0, supersede=True))
        self.table.subscribed(10, 1, key())
        self.assertEqual(self.place(key(worker=1)).slot, 1)
        self.table.subscribed(12, 1, key("cid:8"))
        self.assertEqual(self.place(key("cid:9")).slot, 1)
        self.assertEqual(self.place(key()).slot, 0)
        self.table.left(10, 1, 0.0)
        self.table.subscribed(12, 2, key())
        self.assertEqual(self.place(key()).slot, 2)

    def test_a_newer_instance(self) -> None:
        """Supersedes the older one everywhere, which never returns."""
        self.place(key(), process=0)
        self.table.subscribed(10, 1, key())
        found = self.place(key(instance=b"j"), process=1)
        self.assertEqual(found, Placement(1, supersede=True, newer=True))
        refused = self.place(key(), process=0).refusal
        assert refused is not None
        self.assertEqual(refused[0], "replaced")

    def test_tokens(self) -> None:
        """Begin with who made them."""
        self.assertEqual(self.table.worker_of(token_prefix(11) + b"x" * 16), 11)
        self.assertIsNone(self.table.worker_of(token_prefix(99) + b"x" * 16))
        self.assertIsNone(self.table.worker_of(b""))

    def test_holders(self) -> None:
        """Who has subscriptions of an identity; the first and the last of them are told apart."""
        self.assertTrue(self.table.subscribed(10, 1, key()))
        self.assertFalse(self.table.subscribed(10, 2, key(worker=1)))
        self.assertTrue(self.table.subscribed(11, 1, key()))
        self.assertEqual(self.table.holders("cid:7"), [10, 11])
        self.assertIsNone(self.table.left(10, 1, 0.0))
        self.assertIsNone(self.table.left(10, 1, 0.0))
        self.assertEqual(self.table.left(10, 2, 0.0), "cid:7")
        self.assertEqual(self.table.ended(11, 0.0), ["cid:7"])
        self.assertEqual(self.table.holders("cid:7"), [])
        self.assertEqual(self.table.ended(11, 0.0), [])
        self.assertFalse(self.table.subscribed(11, 2, key()))

    def test_connections(self) -> None:
        """Are counted for an identity, over all workers, and go with them."""
        for serial in (10, 10, 11):
            self.table.passed(serial, "cid:7")
        self.table.closed(10, "cid:7")
        self.table.closed(99, "cid:7")
        self.assertEqual(self.table.connections("cid:7"), 2)
        self.table.ended(11, 0.0)
        self.assertEqual(self.table.connections("cid:7"), 1)

    def test_routes_that_have_lapsed(self) -> None:
        """Are expected for a while: their guest is about to return, with whichever worker."""
        one, two = ["cid:7", "a", "/.*"], ["cid:7", "b", "/.*"]
        for number, route in ((1, one), (2, two)):
            self.table.subscribed(10, number, key(worker=number))
            self.table.served(10, number, route[1:], True)
        self.table.left(10, 1, 5.0)
        self.assertEqual(self.table.routes(), [one, two])
        self.table.ended(10, 6.0)
        self.assertEqual(self.table.routes(), [one, two])
        self.table.expire(15.0, 10.0)
        self.assertEqual(self.table.routes(), [two])
        # One that is served is no lapsed one, whatever was before.
        self.table.subscribed(11, 1, key(worker=2))
        self.table.served(11, 1, two[1:], True)
        self.table.expire(16.0, 10.0)
        self.assertEqual(self.table.routes(), [two])
        self.table.served(11, 1, two[1:], False)
        self.assertEqual(self.table.routes(), [])

    def test_routes_that_lapsed_before_a_hand_over(self) -> None:
        """Are expected by the next program, too, for what is left of their time."""
        route = ["cid:7", "a", "/.*"]
        self.table.subscribed(10, 1, key())
        self.table.served(10, 1, route[1:], True)
        self.table.left(10, 1, 5.0)
        again = GuestTable()
        again.lapsed.restore(json.loads(json.dumps(self.table.lapsed.data())))
        self.assertEqual(again.routes(), [route])
        again.expire(14.0, 10.0)
        self.assertEqual(again.routes(), [route])
        again.expire(15.0, 10.0)
        self.assertEqual(again.routes(), [])

    def test_an_identity_is_forgotten(self) -> None:
        """An hour after its last subscription."""
        self.place(key())
        self.table.subscribed(10, 1, key())
        self.table.left(10, 1, 0.0)
        self.assertEqual(self.table.epochs.expire(3599.0), 0)
        self.assertEqual(self.table.epochs.expire(3600.0), 1)

    def test_written_and_read(self) -> None:
        """What the next program is told is all that it needs."""
        self.place(key(), process=0)
        self.table.subscribed(10, 1, key())
        self.table.served(10, 1, ("a\\.example", "/.*"), True)
        self.table.served(10, 1, ("b", "/"), True)
        self.table.served(10, 1, ("b", "/"), False)
        self.table.served(10, 5, ("c", "/"), True)
        self.table.passed(10, "cid:7")
        again = GuestTable()
        again.restore(json.loads(json.dumps(self.table.data())), 5.0)
        self.assertEqual(again.routes(), [["cid:7", "a\\.example", "/.*"]])
        self.assertEqual(again.connections("cid:7"), 1)
        self.assertEqual(again.worker_of(token_prefix(10)), 10)
        newer = again.place(key(instance=b"j"), hello(b"j"), self.slots, 6.0)
        self.assertTrue(newer.newer)
        self.assertEqual(again.data(), self.table.data())
