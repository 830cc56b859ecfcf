"""Tests of subproxy.wire.exchange."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.credit import ReceiveWindow, SendWindow
from subproxy.wire.errors import ExchangeError, LocalProtocolError
from subproxy.wire.exchange import WireExchange
from subproxy.wire.states import Event, Half, Role
from subproxy.wire.tunnel import WireTunnel


def exchange(role: Role) -> WireExchange:
    return WireExchange(role, 7, SendWindow(1), ReceiveWindow(2))


class WireExchangeTests(SynchronousTestCase):
    def test_new(self) -> None:
        """At the start both halves wait."""
        one = exchange(Role.GUEST)
        self.assertEqual((7, 1, 2), (one.number, one.sending.available, one.receiving.size))
        self.assertIsNone(one.ending)
        self.assertEqual("<WireExchange 7 ours=WAITING theirs=WAITING>", repr(one))

    def test_halves_are_apart(self) -> None:
        """What we send changes ours, what comes changes theirs."""
        one = exchange(Role.PROXY)
        one.sent(Event.STREAM)
        self.assertEqual((Half.STREAMING, Half.WAITING), (one.ours, one.theirs))
        one.came(Event.WHOLE)
        self.assertEqual((Half.STREAMING, Half.DONE), (one.ours, one.theirs))
        one.sent(Event.BODY)
        one.sent(Event.END)
        self.assertIs(Half.DONE, one.ours)

    def test_only_a_guest_sends_interim_responses(self) -> None:
        """The tables of the halves are those of the roles."""
        exchange(Role.GUEST).sent(Event.INTERIM)
        exchange(Role.PROXY).came(Event.INTERIM)
        self.assertRaises(LocalProtocolError, exchange(Role.PROXY).sent, Event.INTERIM)
        self.assertRaises(ExchangeError, exchange(Role.GUEST).came, Event.INTERIM)

    def test_direct_after_credit(self) -> None:
        """Who has granted credit has chosen frames: also when all of it has been used."""
        for available, sent in ((1, 0), (0, 1)):
            one = WireExchange(Role.PROXY, 7, SendWindow(available), ReceiveWindow(2))
            one.sent(Event.STREAM)
            one.tunnel = WireTunnel()
            one.tunnel.sent = sent
            self.assertRaises(ExchangeError, one.response_came, 200, Event.BULK)
        for left, received in ((1, 0), (0, 1)):
            one = WireExchange(Role.GUEST, 7, SendWindow(1), ReceiveWindow(2, left))
            one.came(Event.STREAM)
            one.tunnel = WireTunnel()
            one.tunnel.received = received
            self.assertRaises(LocalProtocolError, one.response_sent, 200, Event.BULK)
            self.assertEqual((Half.WAITING, Half.STREAMING), (one.ours, one.theirs))

    def test_our_mistake(self) -> None:
        """What we must not send is our error, and changes nothing."""
        one = exchange(Role.GUEST)
        error = self.assertRaises(LocalProtocolError, one.sent, Event.BODY)
        self.assertEqual("exchange 7: no BODY when WAITING", str(error))
        self.assertIs(Half.WAITING, one.ours)

    def test_their_mistake(self) -> None:
        """What must not come is an error of this exchange, and changes nothing."""
        one = exchange(Role.GUEST)
        one.came(Event.WHOLE)
        error = self.assertRaises(ExchangeError, one.came, Event.END)
        self.assertEqual((7, "no end is allowed when done"), (error.exchange, str(error)))
        self.assertIs(Half.DONE, one.theirs)
