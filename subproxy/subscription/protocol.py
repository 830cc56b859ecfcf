"""
A connection that a guest has opened: a Twisted protocol round L{subproxy.wire.connection}.

It reads, lets the wire say what happened, has each message dealt with by whom it concerns, in
turns (L{Inbox}), and writes everything of one turn at once. What a connection is, its first
message says: a L{Subscription}, or a L{DataConnection}.

The connection lives in the states of L{State}, by the table C{TRANSITIONS}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection as StreamTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.conduct import MOST_COUNTED, SMALLEST
from subproxy.errors import GuestGone
from subproxy.subscription.data import DataConnection
from subproxy.subscription.held import Held, Part
from subproxy.subscription.inbox import Inbox
from subproxy.subscription.registrar import HelloRefused, Registrar
from subproxy.subscription.states import TRANSITIONS, State
from subproxy.subscription.subscription import Subscription
from subproxy.subscription.voices import INFO, WARN
from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Connection, Ignored
from subproxy.wire.states import Role, Side

if TYPE_CHECKING:
    from subproxy.fastpath._channel import FastChannel
    from subproxy.subscription.factory import SubscriptionFactory
    from subproxy.subscription.share import Share


SMALL_PART = 4096
"""Bytes of an incomplete frame that do not count: each small read leaves some."""

AN_OBJECT = 64
"""Bytes that a piece of what waits to be written takes beside its own."""

MOST_THROWN = 1 << 20
"""Bytes that are read, and thrown away, after C{bye}; who sends more is cut off."""


@implementer(IPushProducer)
class SubscriptionProtocol(Protocol):
    """
    One connection of a guest.

    @ivar identity: which VM speaks, from its address or from the transport.
    @ivar state: see L{State}.
    @ivar wire: the protocol state.
    @ivar inbox: what came and waits to be dealt with.
    @ivar subscription: what it does, once it has greeted.
    @ivar data: what it does, once it is a data connection.
    @ivar fast: what deals with plain responses before anything else does, if it is there.
    @ivar share: of the reactor's time, that of its identity; there as soon as it may stay.
    """

    _log = Logger()
    factory: SubscriptionFactory
    transport: StreamTransport
    share: Share
    _held: Held
    _unread: Part
    _partial: Part

    def __init__(
        self, factory: SubscriptionFactory, registrar: Registrar, identity: str = ""
    ) -> None:
        self.factory = factory
        self.identity = identity
        self.state = State.GREETING
        self.subscription: Subscription | None = None
        self.data: DataConnection | None = None
        self.fast: FastChannel | None = None
        self._settings = factory.settings
        self._clock = factory.clock
        self._registrar = registrar
        self.wire = Connection(Role.PROXY, self._settings.limits)
        self._deadline: IDelayedCall | None = None
        self._congested = False
        self._thrown = 0
        self._offences: list[float] = []
        self.inbox = Inbox(self, self._settings.events_a_turn)
        self.inbox.handlers.update(
            {
                m.Hello: self._hello,
                m.Bye: self._bye,
                m.Connect: self._connect,
                Broken: self._broken,
                Ignored: self._ignored,
            }
        )

    def __repr__(self) -> str:
        channel = None if self.subscription is None else self.subscription.channel
        return f"<SubscriptionProtocol {self.identity} {self.state.name.lower()} {channel}>"

    def say(self, level: Any, text: str, **fields: object) -> None:
        """Log C{text} on behalf of this guest, which may not cause too many lines."""
        self._registrar.voices.say(self._log, level, self.identity, text, **fields)

    def belongs(self, share: Share, held: Held) -> None:
        """It may stay; its virtual machine has that share, and that is held of it."""
        self.share = share
        self._held = held
        self._unread = Part(held)
        self._partial = Part(held)

    def part(self) -> Part:
        """Something else to be held on behalf of this guest; see L{overdrawn}."""
        return Part(self._held)

    def overdrawn(self) -> bool:
        """Whether more is held of its virtual machine, or for it, than it may make us hold."""
        return self._held.total > self._registrar.quotas(self.identity).buffer

    def partial(self) -> None:
        """Count what has come and is no whole message yet, or not dealt with."""
        size = self.wire.unparsed
        if self.fast is not None:
            size += self.fast.held_size
        if size < SMALL_PART:
            size = 0
        part = self._partial
        if size != part.size:
            grows = size > part.size
            part.set(size)
            if grows and self.overdrawn():
                self._cutOff("sent {size} bytes of what is not complete", size)

    def _cutOff(self, what: str, size: int) -> None:
        """More is held than may be: with this connection some of it goes."""
        self.say(
            WARN,
            "{identity} " + what + ", and {total} are held of it: cut off",
            size=size,
            total=self._held.total,
        )
        self.offend()
        self.transport.abortConnection()

    def go(self, state: State) -> None:
        """Be in that state from now on."""
        assert state in TRANSITIONS[self.state], f"{self.state} to {state}"
        self.state = state

    # Twisted's side.

    def connectionMade(self) -> None:
        """A guest dialled."""
        if not self.factory.admit(self):
            # Closed, but accepted: a listener that does not accept freezes a whole VM.
            self.go(State.CLOSED)
            self.transport.loseConnection()
            return
        self.transport.registerProducer(self, True)
        if not self._wait_out():
            self._expect_greeting()

    def dataReceived(self, data: bytes) -> None:
        """The guest said something."""
        if self.data is not None:
            self.data.dataReceived(data)
        elif self.fast is not None:
            self.fast.dataReceived(data)
        else:
            self.framesReceived(data)

    def framesReceived(self, data: bytes) -> None:
        """The wire is to have C{data}: with a compiled path whole frames, or what ends it all."""
        if self.state in (State.CLOSING, State.CLOSED):
            self._thrown += len(data)
            if self._thrown > MOST_THROWN:
                self.transport.abortConnection()
            return
        self.inbox.take(data)
        self.partial()
        if self.fast is None:
            self._quicken()

    def _quicken(self) -> None:
        """Let the compiled path stand before us, as soon as nothing is held here."""
        fastpath, subscription = self.factory.fastpath, self.subscription
        if (
            fastpath is not None
            and subscription is not None
            and self.state is State.SUBSCRIBED
            and not self.inbox.behind
            and not self.wire.unparsed
        ):
            self.fast = subscription.channel.fast = fastpath.channel(self)

    def caughtUp(self) -> None:
        """All that came has had its turn, after some of it had to wait for that: read again."""
        self.partial()
        if self.data is None or self.data.reads:
            self.transport.resumeProducing()
        if self.fast is not None:
            self.fast.go_on()
        else:
            self._quicken()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The connection is gone, and with it, in this same turn, all that it registered."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()
        was, self.state = self.state, State.CLOSED
        if self.data is not None:
            self.data.connectionLost()
        self._leave()
        if was is not State.CLOSED:
            self._unread.set(0)
            self._partial.set(0)
        if was in (State.SUBSCRIBED, State.RETIRING):
            self.say(
                INFO,
                "subscription of {identity} lost: {reason}",
                reason=reason.getErrorMessage() if reason is not None else "",
            )
        self.inbox.close()
        self.factory.gone(self)

    def pauseProducing(self) -> None:
        """The guest does not read as fast as we write."""
        self._congested = True
        if self.subscription is not None:
            self.subscription.channel.pause()
        if self.data is not None:
            self.data.pauseProducing()

    def resumeProducing(self) -> None:
        """The guest has read what we wrote."""
        self._congested = False
        self._unread.set(0)
        if self.subscription is not None:
            self.subscription.channel.resume()
        if self.data is not None:
            self.data.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is going: L{connectionLost} says the rest."""

    # What is said to the guest.

    def flush(self) -> None:
        """Write what has been said, unless a turn is under way, which does so at its end."""
        if self.inbox.busy or self.state is State.CLOSED:
            return
        data = self.wire.data_to_send()
        if data:
            self.transport.write(data)
            if self._congested:
                self._unread.add(len(data) + AN_OBJECT)
                if self.overdrawn():
                    self._cutOff("leaves {size} bytes unread", self._unread.size)

    def close(self, code: bytes, reason: str) -> None:
        """
        Say C{bye} and end the connection, in the order that VMMs need (facts: closing with
        unread data leaves a guest hanging): say it, read to the end, close.
        """
        if self.state in (State.CLOSING, State.CLOSED):
            return
        if self.data is not None:
            self.data.abort()
            return
        was = self.state
        self.go(State.CLOSING)
        if self.wire.ours is not Side.DONE:
            self.wire.send(m.Bye(code, reason.encode("utf-8", "replace")[:1024]))
        self.say(
            INFO,
            "closing the connection of {identity} ({state}): {reason}",
            state=was.name.lower(),
            reason=reason,
        )
        self._leave()
        self.flush()
        self.transport.resumeProducing()
        self._in_time()
        self._deadline = self._clock.callLater(
            self._settings.closing_timeout, self.transport.abortConnection
        )

    def _leave(self) -> None:
        """Nothing goes to this guest any more; what it had is lost."""
        self.wire.discard()
        subscription, self.subscription = self.subscription, None
        self.fast = None
        if subscription is not None:
            subscription.leave(GuestGone())

    # What it did wrong.

    def offend(self) -> None:
        """It did what no honest guest does: so often, and its next connection has to wait."""
        seconds = self._registrar.conduct.offend(self.identity, self._registrar.now())
        if seconds:
            self.say(
                WARN,
                "{identity} offends again and again: its next connection waits {seconds} s",
                seconds=round(seconds, 1),
            )

    def useless(self, weight: float = 1.0) -> None:
        """It said what nobody needs: C{weight} of the smallest messages, or what it took."""
        registrar, inbox = self._registrar, self.inbox
        took = (self.share.timer() - inbox.since) / SMALLEST
        weight = max(weight, min(took, MOST_COUNTED))
        inbox.rest = registrar.conduct.useless(self.identity, registrar.now(), weight)

    def invalid(self, reason: str) -> None:
        """It sent a response that is none."""
        settings = self._settings
        now = self._registrar.now()
        self.say(WARN, "{identity} sent an invalid response: {reason}", reason=reason)
        self._offences = [at for at in self._offences if now - at < settings.offences_window]
        self._offences.append(now)
        if len(self._offences) >= settings.offences:
            self.offend()
            self.close(b"offences", f"{len(self._offences)} invalid responses")

    def _broken(self, event: Broken) -> None:
        self.say(WARN, "{identity} broke the protocol: {error}", error=event.error)
        self.offend()
        self.close(event.error.code, str(event.error))

    def _ignored(self, event: Ignored) -> None:
        self.useless(event.frames)

    # Its first message.

    def _wait_out(self) -> bool:
        """Read nothing until the offences of this identity are made up for: whether there are."""
        seconds = self._registrar.conduct.penalty(self.identity, self._registrar.now())
        if not seconds:
            return False
        self.inbox.hold(seconds, self._waited)
        return True

    def _waited(self) -> None:
        if self.state is State.GREETING and not self._wait_out():
            self._expect_greeting()
            self.inbox.go_on()

    def _expect_greeting(self) -> None:
        self._deadline = self._clock.callLater(self._settings.greeting_timeout, self._no_greeting)

    def _no_greeting(self) -> None:
        self.offend()
        self.close(b"timeout", "no hello came in time")

    def _in_time(self) -> None:
        """What was waited for is here."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def _hello(self, message: m.Hello) -> None:
        try:
            member, replaced = self._registrar.hello(self.identity, message.info)
        except HelloRefused as refusal:
            self.wire.send(m.Refused(0, refusal.code, str(refusal).encode()[:1024]))
            self.close(b"refused", str(refusal))
            return
        self._in_time()
        self.go(State.SUBSCRIBED)
        bulk = self._settings.bulk is not None and message.info.get(b"bulk") is True
        subscription = self.subscription = Subscription(self, member, bulk)
        subscription.begin(replaced)

    def _connect(self, message: m.Connect) -> None:
        """This is a data connection: its first C{connect} is answered with the same."""
        self._in_time()
        self.go(State.DATA)
        data = self.data = DataConnection(
            self, self.factory.tokens, self._clock, self._settings.data_idle
        )
        self.wire.send(message)
        data.connect(message, self.wire.data_to_send(), self.wire.rest())
        if data.count:
            self._registrar.conduct.served(self.identity)

    def _bye(self, message: m.Bye) -> None:
        self.close(b"done", "the guest said bye")
        self.transport.loseConnection()
