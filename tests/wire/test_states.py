"""Tests of subproxy.wire.states."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.messages import BY_VERB
from subproxy.wire.states import (
    REQUEST,
    RESPONSE,
    SIDES,
    TUNNEL,
    Event,
    Half,
    Role,
    Side,
    Tunnel,
)


class SideTests(SynchronousTestCase):
    def test_peer(self) -> None:
        """The peer of each role is the other one."""
        self.assertIs(Role.PROXY, Role.GUEST.peer)
        self.assertIs(Role.GUEST, Role.PROXY.peer)

    def test_complete(self) -> None:
        """Each role has a row for each state."""
        self.assertEqual(set(Role), set(SIDES))
        for table in SIDES.values():
            self.assertEqual(set(Side), set(table))

    def test_every_verb_has_its_place(self) -> None:
        """Every verb is allowed somewhere, and nothing is allowed that is no verb."""
        used = {verb for table in SIDES.values() for row in table.values() for verb in row}
        self.assertEqual(set(BY_VERB), used)

    def test_ends(self) -> None:
        """Nothing is allowed after the end."""
        for table in SIDES.values():
            self.assertEqual({}, table[Side.DONE])
            self.assertEqual({}, table[Side.DATA])

    def test_every_state_can_be_reached(self) -> None:
        """Each state of both can be reached."""
        for role in Role:
            seen = {Side.IDLE}
            while True:
                more = {after for side in seen for after in SIDES[role][side].values()} - seen
                if not more:
                    break
                seen |= more
            self.assertEqual(set(Side), seen)

    def test_only_a_draining_proxy_makes_no_requests(self) -> None:
        """Draining takes nothing else from either."""
        for role, lost in ((Role.GUEST, set()), (Role.PROXY, {b"request"})):
            table = SIDES[role]
            self.assertEqual(lost, set(table[Side.OPEN]) - set(table[Side.DRAINING]))
            self.assertEqual(set(), set(table[Side.DRAINING]) - set(table[Side.OPEN]))

    def test_draining_is_not_undone(self) -> None:
        """From draining there is only done."""
        for table in SIDES.values():
            self.assertEqual({Side.DRAINING, Side.DONE}, set(table[Side.DRAINING].values()))
            self.assertIs(Side.DONE, table[Side.DRAINING][b"bye"])
            self.assertIs(Side.DONE, table[Side.OPEN][b"bye"])


class HalfTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """Both have a row for each state."""
        self.assertEqual(set(Half), set(REQUEST))
        self.assertEqual(set(Half), set(RESPONSE))

    def test_heads(self) -> None:
        """A head says how its body comes."""
        for table in (REQUEST, RESPONSE):
            row = table[Half.WAITING]
            self.assertIs(Half.DONE, row[Event.WHOLE])
            self.assertIs(Half.STREAMING, row[Event.STREAM])
            self.assertIs(Half.BULK, row[Event.BULK])

    def test_bodies(self) -> None:
        """Pieces come only in a stream, and an end only after a head."""
        frames = {Event.BODY: Half.STREAMING, Event.END: Half.DONE}
        for table in (REQUEST, RESPONSE):
            # Whoever finds no data connection sends frames instead.
            self.assertEqual(frames, table[Half.BULK])
            self.assertEqual({Event.END: Half.DONE}, table[Half.RAW])
            self.assertEqual({}, table[Half.DONE])
            self.assertNotIn(Event.BODY, table[Half.WAITING])
            self.assertNotIn(Event.END, table[Half.WAITING])
        self.assertEqual({**frames, Event.MOVE: Half.RAW}, RESPONSE[Half.STREAMING])
        direct = {Event.DIRECT: Half.RAW}
        self.assertEqual({**RESPONSE[Half.STREAMING], **direct}, REQUEST[Half.STREAMING])

    def test_only_responses_have_interim_ones(self) -> None:
        """An interim head changes nothing, and comes before the final one."""
        self.assertIs(Half.WAITING, RESPONSE[Half.WAITING][Event.INTERIM])
        self.assertNotIn(Event.INTERIM, REQUEST[Half.WAITING])
        for half in (Half.STREAMING, Half.BULK, Half.RAW, Half.DONE):
            self.assertNotIn(Event.INTERIM, RESPONSE[half])


class TunnelTests(SynchronousTestCase):
    def test_complete(self) -> None:
        """There is a row for each state, and a way to each."""
        self.assertEqual(set(Tunnel), set(TUNNEL))
        reached = {after for row in TUNNEL.values() for after in row.values()}
        self.assertEqual(set(Tunnel), reached | {Tunnel.ASKED})

    def test_moves_are_offered_first(self) -> None:
        """Nobody moves before connect, and there is none after a move."""
        may_move = {state for state, row in TUNNEL.items() if Event.MOVE in row}
        self.assertEqual({Tunnel.OFFERED, Tunnel.MOVING}, may_move)
        self.assertNotIn(Event.CONNECT, TUNNEL[Tunnel.MOVING])
        self.assertNotIn(Event.CONNECT, TUNNEL[Tunnel.ASKED])
