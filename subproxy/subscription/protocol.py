"""
The proxy's end of one subscription: a Twisted protocol round L{subproxy.wire.connection}.

It reads, lets the wire say what happened, hands each message to whom it concerns, and writes
everything of one turn at once. A turn handles a bounded number of messages, so that one guest
cannot hold the reactor.

The connection lives in the states of L{State}, by the table C{TRANSITIONS}.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection as StreamTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.core.member import READY, Member
from subproxy.errors import GuestGone
from subproxy.subscription.channel import Channel
from subproxy.subscription.data import DataConnection
from subproxy.subscription.liveness import Liveness
from subproxy.subscription.registrar import HelloRefused, Registrar
from subproxy.subscription.voices import INFO, WARN
from subproxy.wire import messages as m
from subproxy.wire.connection import Broken, Connection, Ignored, Violation, limits_info
from subproxy.wire.fields import Info
from subproxy.wire.states import Role, Side

if TYPE_CHECKING:
    from subproxy.fastpath._channel import FastChannel
    from subproxy.subscription.factory import SubscriptionFactory


MOST_THROWN = 1 << 20
"""Bytes that are read, and thrown away, after C{bye}; who sends more is cut off."""

REFUSAL = 64
"""
What a refused registration costs us, where the smallest message costs 1: its patterns were
compiled to see what they would cost, and what does that is not in the caches of a busy proxy.
"""

REPLACED = "a newer instance has taken this one's place"


class State(Enum):
    """Where a connection is in its life."""

    GREETING = auto()
    """It has not said what it is."""
    SUBSCRIBED = auto()
    """C{hello} was accepted."""
    RETIRING = auto()
    """A newer instance has its place: it finishes what must not be executed twice."""
    DATA = auto()
    """It is a data connection: L{SubscriptionProtocol.data} has it."""
    CLOSING = auto()
    """We have said C{bye}: what still comes is thrown away until the peer ends it too."""
    CLOSED = auto()


TRANSITIONS: dict[State, frozenset[State]] = {
    State.GREETING: frozenset({State.SUBSCRIBED, State.DATA, State.CLOSING, State.CLOSED}),
    State.SUBSCRIBED: frozenset({State.RETIRING, State.CLOSING, State.CLOSED}),
    State.RETIRING: frozenset({State.CLOSING, State.CLOSED}),
    State.DATA: frozenset({State.CLOSED}),
    State.CLOSING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


@implementer(IPushProducer)
class SubscriptionProtocol(Protocol):
    """
    One connection of a guest.

    @ivar identity: which VM speaks, from its address or from the transport.
    @ivar state: see L{State}.
    @ivar wire: the protocol state.
    @ivar member: as the balancer sees it, once it has greeted.
    @ivar channel: its exchanges, once it has greeted.
    @ivar data: what it does, once it is a data connection.
    @ivar fast: what deals with plain responses before anything else does, if it is there.
    """

    _log = Logger()
    factory: SubscriptionFactory
    transport: StreamTransport

    def __init__(
        self, factory: SubscriptionFactory, registrar: Registrar, identity: str = ""
    ) -> None:
        self.factory = factory
        self.identity = identity
        self.state = State.GREETING
        self.member: Member | None = None
        self.channel: Channel | None = None
        self.data: DataConnection | None = None
        self.fast: FastChannel | None = None
        self._settings = factory.settings
        self._clock = factory.clock
        self._registrar = registrar
        self.wire = Connection(Role.PROXY, self._settings.limits)
        self._liveness: Liveness | None = None
        self._deadline: IDelayedCall | None = None
        self._again: IDelayedCall | None = None
        self._turns = 0
        self._postponed = False
        self._unread = -1
        self._thrown = 0
        self._offences: list[float] = []
        self._rest = 0.0
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            m.Hello: self._hello,
            m.Register: self._register,
            m.Unregister: self._unregister,
            m.Pong: self._pong,
            m.Drain: self._drain,
            m.Bye: self._bye,
            m.Connect: self._connect,
            Broken: self._broken,
            Ignored: self._ignored,
        }

    def __repr__(self) -> str:
        return f"<SubscriptionProtocol {self.identity} {self.state.name.lower()} {self.channel}>"

    def say(self, level: Any, text: str, **fields: object) -> None:
        """Log C{text} on behalf of this guest, which may not cause too many lines."""
        self._registrar.voices.say(self._log, level, self.identity, text, **fields)

    # Twisted's side.

    def connectionMade(self) -> None:
        """A guest dialled."""
        if not self.factory.admit(self):
            # Closed, but accepted: a listener that does not accept freezes a whole VM.
            self.state = State.CLOSED
            self.transport.loseConnection()
            return
        self.transport.registerProducer(self, True)
        if not self._wait_out():
            self._expect_greeting()

    def _wait_out(self) -> bool:
        """Read nothing until the offences of this identity are made up for: whether there are."""
        seconds = self._registrar.conduct.penalty(self.identity, self._registrar.now())
        if not seconds:
            return False
        self.transport.pauseProducing()
        self._again = self._clock.callLater(seconds, self._waited)
        return True

    def _waited(self) -> None:
        self._again = None
        if self.state is State.GREETING and not self._wait_out():
            self._expect_greeting()
            self._next_turn()

    def _expect_greeting(self) -> None:
        self._deadline = self._clock.callLater(self._settings.greeting_timeout, self._no_greeting)

    def _no_greeting(self) -> None:
        self.offend()
        self.close(b"timeout", "no hello came in time")

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
        self.wire.feed(data)
        if not self.behind:
            if self.state is State.GREETING and self.factory.turns.spent():
                self._postpone()
            else:
                self._turn()
        if self.fast is None:
            self._quicken()

    @property
    def behind(self) -> bool:
        """Some of what came waits for its turn: what comes now has to wait, too."""
        return self._again is not None or self._postponed

    def _quicken(self) -> None:
        """Let the compiled path stand before us, as soon as nothing is held here."""
        fastpath = self.factory.fastpath
        if (
            fastpath is not None
            and self.state is State.SUBSCRIBED
            and self.channel is not None
            and not self.behind
            and not self.wire.unparsed
        ):
            self.fast = self.channel.fast = fastpath.channel(self)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The connection is gone, and with it, in this same turn, all that it registered."""
        for call in (self._deadline, self._again):
            if call is not None and call.active():
                call.cancel()
        was, self.state = self.state, State.CLOSED
        if self.data is not None:
            self.data.connectionLost()
        self._leave(GuestGone())
        if was in (State.SUBSCRIBED, State.RETIRING):
            self.say(
                INFO,
                "subscription of {identity} lost: {reason}",
                reason=reason.getErrorMessage() if reason is not None else "",
            )
        # So that we, and what we hold, go with the last who knows us: no cycle for the collector.
        self._handlers = {}
        self._deadline = self._again = None
        self.factory.gone(self)

    def pauseProducing(self) -> None:
        """The guest does not read as fast as we write."""
        self._unread = 0
        if self.channel is not None:
            self.channel.pause()
        if self.data is not None:
            self.data.pauseProducing()

    def resumeProducing(self) -> None:
        """The guest has read what we wrote."""
        self._unread = -1
        if self.channel is not None:
            self.channel.resume()
        if self.data is not None:
            self.data.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is going: L{connectionLost} says the rest."""

    # Turns.

    def _turn(self) -> None:
        self._again = None
        if self.state in (State.CLOSING, State.CLOSED):
            return
        self._turns += 1
        try:
            wire, handlers = self.wire, self._handlers
            left = self._settings.events_a_turn
            while left > 0:
                event = wire.next_event()
                if event is None:
                    break
                left -= event.frames if type(event) is Ignored else 1
                handlers[type(event)](event)
                if self.state in (State.CLOSING, State.CLOSED):
                    break
                if self._rest:
                    # It has said so much that nobody needs: the rest of it can wait.
                    self.transport.pauseProducing()
                    self._again = self._clock.callLater(self._rest, self._next_turn)
                    self._rest = 0.0
                    break
                if type(event) in (m.Hello, m.Register) and self.factory.turns.spent():
                    self._postpone()
                    break
            else:
                # More may be there: let others have their turn first.
                self.transport.pauseProducing()
                self._again = self._clock.callLater(0, self._next_turn)
        finally:
            self._turns -= 1
        self.flush()

    def _postpone(self) -> None:
        """Newcomers have had their share of this turn of the reactor: go on in a later one."""
        self._postponed = True
        self.transport.pauseProducing()
        self.factory.turns.later(self._my_turn)

    def _my_turn(self) -> None:
        self._postponed = False
        if self.state is not State.CLOSED:
            self._next_turn()

    def _next_turn(self) -> None:
        self._turn()
        if not self.behind and self.state is not State.CLOSED:
            if self.data is None or self.data.reads:
                self.transport.resumeProducing()
            if self.fast is not None:
                self.fast.go_on()

    def flush(self) -> None:
        """Write what has been said, unless a turn is under way, which does so at its end."""
        if self._turns or self.state is State.CLOSED:
            return
        data = self.wire.data_to_send()
        if data:
            self.transport.write(data)
            if self._unread >= 0:
                self._unread += len(data)
                if self._unread > self._registrar.quotas(self.identity).buffer:
                    self.say(
                        WARN,
                        "{identity} leaves {unread} bytes unread: cut off",
                        unread=self._unread,
                    )
                    self.offend()
                    self.transport.abortConnection()

    def offend(self) -> None:
        """It did what no honest guest does: so often, and its next connection has to wait."""
        seconds = self._registrar.conduct.offend(self.identity, self._registrar.now())
        if seconds:
            self.say(
                WARN,
                "{identity} offends again and again: its next connection waits {seconds} s",
                seconds=round(seconds, 1),
            )

    def _useless(self, weight: float = 1.0) -> None:
        """It said what nobody needs."""
        self._rest = self._registrar.conduct.useless(self.identity, self._registrar.now(), weight)

    def _ignored(self, event: Ignored) -> None:
        self._useless(event.frames)

    def _too_late(self, message: m.Message) -> None:
        """It retires: that was for the one in its place to say."""
        self._useless()

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
        was, self.state = self.state, State.CLOSING
        if self.wire.ours is not Side.DONE:
            self.wire.send(m.Bye(code, reason.encode("utf-8", "replace")[:1024]))
        self.say(
            INFO,
            "closing the connection of {identity} ({state}): {reason}",
            state=was.name.lower(),
            reason=reason,
        )
        self._leave(GuestGone())
        self.flush()
        self.transport.resumeProducing()
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._clock.callLater(
            self._settings.closing_timeout, self.transport.abortConnection
        )

    def retire(self) -> None:
        """
        A newer instance has taken this one's place: its routes are gone at once, what may be
        executed again goes elsewhere. The rest it may finish, for as long as it answers pings;
        if it is the ghost of a machine that was restarted, it does not.
        """
        member, channel = self.member, self.channel
        if self.state is not State.SUBSCRIBED or member is None or channel is None:
            self._replaced()
            return
        self._registrar.leave(member)
        self.factory.left(member)
        channel.move_safe(GuestGone(REPLACED))
        if not len(channel):
            self._replaced()
            return
        self.state = State.RETIRING
        for kind in (m.Register, m.Unregister, m.Drain):
            self._handlers[kind] = self._too_late
        channel.emptied = self._emptied

    def _emptied(self) -> None:
        """The last exchange of a retiring instance is over; but its answer may be under way."""
        self._clock.callLater(0, self._replaced)

    def _replaced(self) -> None:
        self.close(b"replaced", REPLACED)

    def _leave(self, error: GuestGone) -> None:
        """Nothing goes to this guest any more; what it had is lost."""
        liveness, self._liveness = self._liveness, None
        if liveness is not None:
            liveness.stop()
        self.wire.discard()
        member, channel, fast = self.member, self.channel, self.fast
        self.member = self.channel = self.fast = None
        if member is not None:
            self._registrar.leave(member)
            self.factory.left(member)
        if fast is not None:
            fast.close()
        if channel is not None:
            channel.lost(error)
        if member is not None:
            member.channel = None

    # What the guest says.

    def _hello(self, message: m.Hello) -> None:
        try:
            member, replaced = self._registrar.hello(self.identity, message.info)
        except HelloRefused as refusal:
            self.wire.send(m.Refused(0, refusal.code, str(refusal).encode()[:1024]))
            self.close(refusal.code if refusal.code == b"replaced" else b"refused", str(refusal))
            return
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self.state = State.SUBSCRIBED
        self.member = member
        offer = self._settings.bulk is not None and message.info.get(b"bulk") is True
        channel = Channel(
            self.wire,
            member,
            self.factory.dispatcher,
            self.flush,
            self._offended,
            self._clock,
            self._settings,
            self.factory.tokens if offer else None,
            self.factory.pipes,
            self.factory.pump,
        )
        self.channel = member.channel = channel
        self._handlers.update(
            {
                m.Response: channel.response,
                m.Body: channel.body,
                m.End: channel.end,
                m.Credit: channel.credit,
                m.Abort: channel.abort,
                Violation: channel.violation,
            }
        )
        self.wire.send(m.Welcome(self._welcome(offer)))
        self.say(
            INFO,
            "{identity} subscribed: {application}, worker {worker}, instance {instance}",
            application=member.application.decode("ascii", "backslashreplace"),
            worker=member.worker,
            instance=member.instance.decode("ascii", "backslashreplace"),
        )
        self.factory.greeted(self, replaced)
        settings = self._settings
        self._liveness = Liveness(
            self.factory.rounds,
            settings.ping_interval,
            settings.ping_timeout,
            settings.timeout,
            now=self._registrar.now,
            send=self._ping,
            measured=self._measured,
            missed=self._missed,
            returned=self._returned,
            dead=self._dead,
        )
        self._liveness.start()

    def _welcome(self, offer: bool) -> Info:
        """
        What C{welcome} says.

        @param offer: data connections, too.
        """
        settings = self._settings
        info: Info = {
            **limits_info(settings.limits),
            b"identity": self.identity.encode("utf-8", "surrogateescape"),
            b"ping": int(settings.ping_interval * 1000),
            b"timeout": int(settings.timeout * 1000),
        }
        if offer:
            info[b"bulk"] = settings.bulk
        return info

    def _register(self, message: m.Register) -> None:
        assert self.member is not None
        answer = self._registrar.register(self.member, message)
        self.wire.send(answer)
        if isinstance(answer, m.Registered):
            # After the answer, so that a guest knows its route before it is asked.
            self._registrar.changed(self.member)
        else:
            self._useless(REFUSAL)

    def _unregister(self, message: m.Unregister) -> None:
        assert self.member is not None
        answer = self._registrar.unregister(self.member, message)
        if answer is not None:
            self.wire.send(answer)
        else:
            self._useless()

    def _pong(self, message: m.Pong) -> None:
        assert self.member is not None
        assert self._liveness is not None
        if not self._liveness.pong(message.nonce):
            self._useless()
        elif self.state is State.SUBSCRIBED:
            self._registrar.pong(self.member, message.info)

    def _drain(self, message: m.Drain) -> None:
        assert self.member is not None
        self._useless()
        self.say(INFO, "{identity} drains")
        self._registrar.drain(self.member)

    def recheck(self) -> None:
        """The policy has changed."""
        if self.member is not None and self.state is State.SUBSCRIBED:
            for refused in self._registrar.recheck(self.member):
                self.say(
                    INFO,
                    "{identity} may no longer serve a route: {reason}",
                    reason=refused.reason.decode("utf-8", "replace"),
                )
                self.wire.send(refused)
            self.flush()

    @property
    def spare(self) -> bool:
        """Whether each of its routes is served by another one, too."""
        member = self.member
        return (
            self.state is State.SUBSCRIBED
            and member is not None
            and all(
                any(other.state == READY and other is not member for other in pool.members)
                for pool in member.pools
            )
        )

    def drain(self) -> None:
        """Let this subscription finish what it has, and give it nothing new."""
        member = self.member if self.state is State.SUBSCRIBED else None
        if member is not None and self.wire.ours is Side.OPEN:
            self._registrar.drain(member)
            self.wire.send(m.Drain())
            self.flush()

    def _bye(self, message: m.Bye) -> None:
        self.close(b"done", "the guest said bye")
        self.transport.loseConnection()

    def _connect(self, message: m.Connect) -> None:
        """This is a data connection: its first C{connect} is answered with the same."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self.state = State.DATA
        data = self.data = DataConnection(
            self, self.factory.tokens, self._clock, self._settings.data_idle
        )
        self.wire.send(message)
        data.connect(message, self.wire.data_to_send(), self.wire.rest())
        if data.count:
            self._registrar.conduct.served(self.identity)

    def _broken(self, event: Broken) -> None:
        self.say(WARN, "{identity} broke the protocol: {error}", error=event.error)
        self.offend()
        self.close(event.error.code, str(event.error))

    def _offended(self, reason: str) -> None:
        settings = self._settings
        now = self._registrar.now()
        self.say(WARN, "{identity} sent an invalid response: {reason}", reason=reason)
        self._offences = [at for at in self._offences if now - at < settings.offences_window]
        self._offences.append(now)
        if len(self._offences) >= settings.offences:
            self.offend()
            self.close(b"offences", f"{len(self._offences)} invalid responses")

    # Liveness.

    def _ping(self, nonce: bytes) -> None:
        self.wire.send(m.Ping(nonce))
        self.flush()

    def _measured(self, seconds: float) -> None:
        if self.member is not None:
            self._registrar.measured(self.member, seconds)

    def _missed(self) -> None:
        if self.state is State.RETIRING:
            self._replaced()
        elif self.member is not None and self.channel is not None:
            self.say(WARN, "{identity} does not answer pings: ejected")
            self._registrar.eject(self.member)
            self.channel.move_safe(GuestGone("the application stopped answering"))

    def _returned(self) -> None:
        if self.member is not None:
            self.say(INFO, "{identity} answers pings again")
            self._registrar.revive(self.member)

    def _dead(self) -> None:
        self.say(WARN, "{identity} is silent: given up")
        self.close(b"timeout", "no pong")
