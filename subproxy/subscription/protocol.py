"""
A connection that a guest has opened: a Twisted protocol round L{subproxy.wire.connection}.

It reads, lets the wire say what happened, has each message dealt with by whom it concerns, in
turns (L{MessagePump}), and writes everything of one turn at once. What a connection is, its first
message says: a L{Subscription}, or a L{DataConnection}.

The connection lives in the states of L{SubscriptionState}, by the table C{TRANSITIONS}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection as StreamTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.access.penalties import MOST_COUNTED, SMALLEST
from subproxy.core.balancing.member import Member
from subproxy.errors import GuestGone
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.buffer_account import BufferAccount, BufferPart, unsent
from subproxy.subscription.channel import Channel
from subproxy.subscription.close_reason import GuestCloseReason
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import Connections
from subproxy.subscription.log_limiter import INFO, WARN
from subproxy.subscription.message_pump import MessagePump
from subproxy.subscription.registrar import HelloRefused
from subproxy.subscription.session import Subscription
from subproxy.subscription.states import TRANSITIONS, SubscriptionState
from subproxy.subscription.time_share import TimeShare
from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Ignored, WireConnection
from subproxy.wire.states import Role, Side

SMALL_PART = 4096
"""
Bytes of an incomplete frame that do not count: each small read leaves some. On the compiled path
they are more (C{COUNTED} of C{FastChannel}): a whole answer rides in a frame there.
"""

AN_OBJECT = 64
"""Bytes that a piece of what waits to be written takes beside its own."""

MOST_THROWN = 1 << 20
"""Bytes that are read, and thrown away, after C{bye}; who sends more is cut off."""


@implementer(IPushProducer)
class SubscriptionProtocol(Protocol):
    """
    One connection of a guest.

    @ivar identity: which VM speaks, from its address or from the transport.
    @ivar state: see L{SubscriptionState}.
    @ivar wire: the protocol state.
    @ivar message_pump: what came and waits to be dealt with.
    @ivar subscription: what it does, once it has greeted.
    @ivar data: what it does, once it is a data connection.
    @ivar closed: why we have closed the transport, if we have.
    @ivar share: of the reactor's time, that of its identity; there as soon as it may stay.
    """

    _log = Logger()
    transport: StreamTransport
    share: TimeShare
    _held: BufferAccount
    _unread: BufferPart
    _partial: BufferPart

    def __init__(self, context: GuestContext, connections: Connections, identity: str = "") -> None:
        self.identity = identity
        self.state = SubscriptionState.GREETING
        self.subscription: Subscription | None = None
        self.data: DataConnection | None = None
        self.closed: GuestCloseReason | None = None
        self._context = context
        self._connections = connections
        self._settings = context.settings
        self._clock = context.clock
        self._registrar = context.registrar
        self.wire = WireConnection(Role.PROXY, self._settings.limits)
        self._deadline: IDelayedCall | None = None
        self._congested = False
        self._thrown = 0
        self._offences: list[float] = []
        self.message_pump = MessagePump(
            self,
            context,
            {
                m.Hello: self._hello,
                m.Bye: self._bye,
                m.Connect: self._connect,
                Broken: self._broken,
                Ignored: self._ignored,
            },
        )

    def __repr__(self) -> str:
        channel = None if self.subscription is None else self.subscription.channel
        return f"<SubscriptionProtocol {self.identity} {self.state.name.lower()} {channel}>"

    def say(self, level: Any, text: str, **fields: object) -> None:
        """Log C{text} on behalf of this guest, which may not cause too many lines."""
        self._registrar.log_limiter.emit(self._log, level, self.identity, text, **fields)

    def belongs(self, share: TimeShare, held: BufferAccount) -> None:
        """It may stay; its virtual machine has that share, and that is held of it."""
        self.share = share
        self._held = held
        self._unread = BufferPart(held)
        self._partial = BufferPart(held)

    def part(self) -> BufferPart:
        """Something else to be held on behalf of this guest; see L{overdrawn}."""
        return BufferPart(self._held)

    def overdrawn(self) -> bool:
        """Whether more is held of its virtual machine, or for it, than it may make us hold."""
        return self._held.total > self._registrar.quotas(self.identity).buffer

    def partial(self) -> None:
        """Count what has come and is no whole message yet, or not dealt with."""
        size = self._unfinished()
        if size < SMALL_PART:
            size = 0
        part = self._partial
        if size != part.size:
            grows = size > part.size
            part.set(size)
            if grows and self.overdrawn():
                self._cut_off("sent {size} bytes of what is not complete", size)

    def _unfinished(self) -> int:
        """Bytes that came and are no whole message yet, or not dealt with."""
        return self.wire.unparsed

    def _cut_off(self, what: str, size: int) -> None:
        """More is held than may be: with this connection some of it goes."""
        self.say(
            WARN,
            "{identity} " + what + ", and {total} are held of it: cut off",
            size=size,
            total=self._held.total,
        )
        self.offend()
        self.close_transport(GuestCloseReason.OVERDRAWN)

    def go(self, state: SubscriptionState) -> None:
        """Be in that state from now on."""
        self.state = TRANSITIONS.move(self.state, state)

    # Twisted's side.

    def connectionMade(self) -> None:
        """A guest dialled."""
        if not self._connections.admit(self):
            # Closed, but accepted: a listener that does not accept freezes a whole VM.
            self.go(SubscriptionState.CLOSED)
            self.close_transport(GuestCloseReason.NOT_ADMITTED)
            return
        self.transport.registerProducer(self, True)
        if not self._wait_out():
            self._expect_greeting()

    def dataReceived(self, data: bytes) -> None:
        """The guest said something."""
        if self.data is not None:
            self.data.dataReceived(data)
        else:
            self.frames_received(data)

    def frames_received(self, data: bytes) -> None:
        """The wire is to have C{data}."""
        if self.state in (SubscriptionState.CLOSING, SubscriptionState.CLOSED):
            self._thrown += len(data)
            if self._thrown > MOST_THROWN:
                self.close_transport(GuestCloseReason.TALKS_AFTER_BYE)
            return
        self.message_pump.take(data)
        self.partial()

    def caught_up(self) -> None:
        """All that came has had its turn, after some of it had to wait for that: read again."""
        self.partial()
        if self.data is None or self.data.reads:
            self.transport.resumeProducing()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The connection is gone, and with it, in this same turn, all that it registered."""
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()
        was, self.state = self.state, SubscriptionState.CLOSED
        if self.data is not None:
            self.data.connectionLost()
        self._leave()
        if was is not SubscriptionState.CLOSED:
            self._unread.set(0)
            self._partial.set(0)
        if was in (SubscriptionState.SUBSCRIBED, SubscriptionState.RETIRING):
            self.say(
                INFO,
                "subscription of {identity} lost: {reason}",
                reason=reason.getErrorMessage() if reason is not None else "",
                closed=None if self.closed is None else self.closed.name.lower(),
            )
        self.message_pump.close()
        self._connections.gone(self)

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
        if self.message_pump.turn.depth or self.state is SubscriptionState.CLOSED:
            return
        data = self.wire.data_to_send()
        if data:
            self.transport.write(data)
            if self._congested:
                self._unread.add(len(data) + AN_OBJECT)
                if self.overdrawn():
                    self._recount()
                    if self.overdrawn():
                        self._cut_off("leaves {size} bytes unread", self._unread.size)

    def _recount(self) -> None:
        """
        Count what waits now: of a guest that reads, and never quite catches up, all that was
        written since it fell behind was counted. Twice, because each piece is an object, too.
        """
        waiting = unsent(self.transport)
        if waiting is not None:
            self._unread.set(min(self._unread.size, 2 * waiting))

    def close(self, code: bytes, reason: str) -> None:
        """
        Say C{bye} and end the connection, in the order that VMMs need (facts: closing with
        unread data leaves a guest hanging): say it, read to the end, close.
        """
        if self.state in (SubscriptionState.CLOSING, SubscriptionState.CLOSED):
            return
        if self.data is not None:
            self.data.abort(GuestCloseReason.SHUTDOWN)
            return
        was = self.state
        self.go(SubscriptionState.CLOSING)
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
            self._settings.closing_timeout, self.close_transport, GuestCloseReason.BYE_UNANSWERED
        )

    def close_transport(self, why: GuestCloseReason) -> None:
        """Close the transport: nothing else does, and the first reason is the one to tell."""
        if self.closed is None:
            self.closed = why
        if why.orderly:
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()

    def _leave(self) -> None:
        """Nothing goes to this guest any more; what it had is lost."""
        self.wire.discard()
        subscription, self.subscription = self.subscription, None
        if subscription is not None:
            subscription.leave(GuestGone())

    @property
    def behind(self) -> bool:
        """Some of what came is not dealt with yet."""
        return self.message_pump.behind

    # What it did wrong.

    def offend(self) -> None:
        """It did what no honest guest does: so often, and its next connection has to wait."""
        seconds = self._registrar.penalties.record_offence(self.identity, self._registrar.now())
        if seconds:
            self.say(
                WARN,
                "{identity} offends again and again: its next connection waits {seconds} s",
                seconds=round(seconds, 1),
            )

    def useless(self, weight: float = 1.0) -> None:
        """Count a useless message as C{weight} of the smallest ones, or by the time it took."""
        registrar, message_pump = self._registrar, self.message_pump
        took = (self.share.timer() - message_pump.since) / SMALLEST
        weight = max(weight, min(took, MOST_COUNTED))
        message_pump.rest = registrar.penalties.count_useless(
            self.identity, registrar.now(), weight
        )

    def invalid(self, reason: str) -> None:
        """Count an offence: the guest has sent a response that breaks a rule."""
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
        seconds = self._registrar.penalties.penalty(self.identity, self._registrar.now())
        if not seconds:
            return False
        self.message_pump.hold(seconds, self._waited)
        return True

    def _waited(self) -> None:
        if self.state is SubscriptionState.GREETING and not self._wait_out():
            self._expect_greeting()
            self.message_pump.go_on()

    def _expect_greeting(self) -> None:
        self._deadline = self._clock.callLater(self._settings.greeting_timeout, self._no_greeting)

    def greeting_late(self) -> None:
        """It has not said in time what it is; whoever read before us has waited for that."""
        if self.state is SubscriptionState.GREETING:
            self._in_time()
            self._no_greeting()

    def refuse(self, refusal: HelloRefused) -> None:
        """Say no to its C{hello} when that comes: another process knows why."""
        self.message_pump.handlers[m.Hello] = lambda message: self._refused(refusal)

    def _refused(self, refusal: HelloRefused) -> None:
        self.wire.send(m.Refused(0, refusal.code, str(refusal).encode()[:1024]))
        self.close(b"refused", str(refusal))

    def _no_greeting(self) -> None:
        self.offend()
        self.close(b"timeout", "no hello came in time")

    def _in_time(self) -> None:
        """Cancel the greeting timer: the first message has come."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    def _hello(self, message: m.Hello) -> None:
        try:
            member, replaced = self._registrar.hello(self.identity, message.info)
        except HelloRefused as refusal:
            self._refused(refusal)
            return
        self._in_time()
        self.go(SubscriptionState.SUBSCRIBED)
        bulk = self._settings.bulk is not None and message.info.get(b"bulk") is True
        subscription = self.subscription = Subscription(
            self,
            self.make_channel(member),
            self._context,
            self._connections,
            bulk,
            b"tunnel" in message.info,
        )
        self.message_pump.handlers.update(subscription.handlers())
        subscription.begin(replaced)

    def make_channel(self, member: Member) -> Channel:
        """Where the exchanges of the subscription are."""
        return Channel(self, member, self._context)

    def make_data_connection(self) -> DataConnection:
        """What carries bodies here, if this turns out to be a data connection."""
        return DataConnection(self, self._context.tokens, self._clock, self._settings.data_idle)

    def retire(self) -> None:
        """Another subscription has this one's place."""
        assert self.subscription is not None
        self.go(SubscriptionState.RETIRING)
        self.message_pump.handlers.update(self.subscription.handlers())

    def _connect(self, message: m.Connect) -> None:
        """This is a data connection: its first C{connect} is answered with the same."""
        if not self._connections.carries(self):
            self.close_transport(GuestCloseReason.NOT_ADMITTED)
            return
        self._in_time()
        self.go(SubscriptionState.DATA)
        data = self.data = self.make_data_connection()
        self.wire.send(message)
        data.connect(message, self.wire.data_to_send(), self.wire.rest())
        if data.count:
            self._registrar.penalties.refund_dial(self.identity)

    def _bye(self, message: m.Bye) -> None:
        self.close(b"done", "the guest said bye")
        self.close_transport(GuestCloseReason.BYE_SAID)
