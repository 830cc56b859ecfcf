"""
A subscription, from C{welcome} until it is gone: the proxy's end.

It answers what the guest says of itself and its routes, hands what concerns exchanges to the
L{Channel}, and sees by pings whether the guest is there. The connection that it is on is a
L{SubscriptionProtocol}.
"""

from __future__ import annotations

from subproxy.core.balancing.member import READY, Member
from subproxy.errors import GuestGone
from subproxy.subscription.channel import Channel
from subproxy.subscription.context import GuestContext
from subproxy.subscription.interfaces import Handlers, SubscriptionConnection, Subscriptions
from subproxy.subscription.liveness import Liveness
from subproxy.subscription.log_limiter import INFO, WARN
from subproxy.subscription.states import SubscriptionState
from subproxy.wire import messages as m
from subproxy.wire.connection import limits_info
from subproxy.wire.fields import Info
from subproxy.wire.states import Side

REFUSAL = 64
"""
What a refused registration costs us, where the smallest message costs 1: its patterns were
read to see what they would cost, and what does that is not in the caches of a busy proxy.
"""

REPLACED = "a newer instance has taken this one's place"
AGAIN = "this instance has come again, on a younger connection"


class Subscription:
    """
    One application instance that has greeted.

    @ivar member: as the balancer sees it.
    @ivar channel: its exchanges.
    """

    def __init__(
        self,
        connection: SubscriptionConnection,
        channel: Channel,
        context: GuestContext,
        subscriptions: Subscriptions,
        bulk: bool,
        tunnel: bool,
    ) -> None:
        """
        Take over what comes on a connection.

        @param channel: of the member that greeted.
        @param subscriptions: all there are.
        @param bulk: data connections are offered, too.
        @param tunnel: tunnels are, too.
        """
        self.member = channel.member
        self._connection = connection
        self._context = context
        self._subscriptions = subscriptions
        self._registrar = context.registrar
        self._settings = context.settings
        self._wire = connection.wire
        self._bulk = bulk
        self._tunnel = tunnel
        self._liveness: Liveness | None = None
        self._farewell = (b"replaced", REPLACED)
        self.channel = self.member.channel = channel

    def handlers(self) -> Handlers:
        """What is done with what the guest says; by state, as the connection is in it."""
        retiring = self._connection.state is SubscriptionState.RETIRING
        return {
            m.Register: self._too_late if retiring else self._register,
            m.Unregister: self._too_late if retiring else self._unregister,
            m.Drain: self._too_late if retiring else self._drain,
            m.Pong: self._pong,
            **self.channel.handlers(),
        }

    def begin(self, replaced: Member | None) -> None:
        """
        Say C{welcome}, and ping from now on.

        @param replaced: the older instance whose place this one takes.
        """
        member, settings, connection = self.member, self._settings, self._connection
        self._wire.send(m.Welcome(self._welcome()))
        connection.say(
            INFO,
            "{identity} subscribed: {application}, worker {worker}, instance {instance}",
            application=member.application,
            worker=member.worker,
            instance=member.instance,
        )
        self._subscriptions.greeted(self, replaced)
        self._liveness = Liveness(
            self._context.rounds,
            settings.ping_interval,
            settings.ping_timeout,
            settings.timeout,
            now=self._registrar.now,
            send=self._ping,
            measured=self._measured,
            missed=self._missed,
            still_missed=self._still_missed,
            returned=self._returned,
            dead=self._dead,
            unread=lambda: connection.behind,
        )
        self._liveness.start()

    def _welcome(self) -> Info:
        """What C{welcome} says."""
        settings = self._settings
        info: Info = {
            **limits_info(settings.limits),
            b"identity": self.member.identity.encode("utf-8", "surrogateescape"),
            b"ping": int(settings.ping_interval * 1000),
            b"timeout": int(settings.timeout * 1000),
        }
        if self._bulk:
            info[b"bulk"] = settings.bulk
        if self._tunnel:
            info[b"tunnel"] = settings.tunnel
        run = self._registrar.epochs.run(self.member.identity)
        if run:
            info[b"epoch"] = run
        if settings.processes > 1:
            info[b"process"] = settings.process
            info[b"processes"] = settings.processes
        return info

    # What the guest says.

    def _register(self, message: m.Register) -> None:
        answer = self._registrar.register(self.member, message, self._wire.tunnels)
        self._wire.send(answer)
        if isinstance(answer, m.Registered):
            # After the answer, so that a guest knows its route before it is asked.
            self._registrar.changed(self.member)
        else:
            self._connection.useless(REFUSAL)

    def _unregister(self, message: m.Unregister) -> None:
        answer = self._registrar.unregister(self.member, message)
        if answer is not None:
            self._wire.send(answer)
        else:
            self._connection.useless()

    def _pong(self, message: m.Pong) -> None:
        assert self._liveness is not None
        if not self._liveness.pong(message.nonce):
            self._connection.useless()
        elif self._connection.state is SubscriptionState.SUBSCRIBED and self._registrar.pong(
            self.member, message.info
        ):
            self._connection.say(WARN, "{identity} takes nothing new: it says that it is full")

    def _drain(self, message: m.Drain) -> None:
        self._connection.useless()
        self._connection.say(INFO, "{identity} drains")
        self._registrar.drain(self.member)

    def _too_late(self, message: m.Message) -> None:
        """It retires: that was for the one in its place to say."""
        self._connection.useless()

    # What the proxy wants of it.

    def recheck(self) -> None:
        """The policy has changed."""
        if self._connection.state is SubscriptionState.SUBSCRIBED:
            for refused in self._registrar.recheck(self.member):
                self._connection.say(
                    INFO,
                    "{identity} may no longer serve a route: {reason}",
                    reason=refused.reason,
                )
                self._wire.send(refused)
            self._connection.flush()

    @property
    def spare(self) -> bool:
        """Whether each of its routes is served by another one, too."""
        member = self.member
        return all(
            any(other.state == READY and other is not member for other in pool.members)
            for pool in member.pools
        )

    def drain(self) -> None:
        """Let it finish what it has, and give it nothing new."""
        if self._connection.state is SubscriptionState.SUBSCRIBED and self._wire.ours is Side.OPEN:
            self._registrar.drain(self.member)
            self._wire.send(m.Drain())
            self._connection.flush()

    # Its end.

    def retire(self, successor: Member) -> None:
        """
        Give this one's place to C{successor}: a newer instance, or the same one come again.

        Its routes are gone at once, what may be executed again goes elsewhere. The rest it may
        finish, for as long as it answers pings; if it is the ghost of a machine that was
        restarted, it does not.
        """
        if successor.instance == self.member.instance:
            self._farewell = (b"again", AGAIN)
        channel = self.channel
        self._registrar.leave(self.member)
        self._subscriptions.left(self.member)
        channel.move_safe(GuestGone(self._farewell[1]), b"error", replaced=True)
        if not len(channel):
            self._replaced()
            return
        self._connection.retire()
        channel.emptied = self._emptied

    def _emptied(self) -> None:
        """The last exchange of a retiring instance is over; but its answer may be under way."""
        self._context.clock.callLater(0, self._replaced)

    def _replaced(self) -> None:
        self._connection.close(*self._farewell)

    def leave(self, error: GuestGone) -> None:
        """Nothing goes to it any more; what it had is lost, with that error."""
        liveness, self._liveness = self._liveness, None
        if liveness is not None:
            liveness.stop()
        member, channel = self.member, self.channel
        self._registrar.leave(member)
        self._subscriptions.left(member)
        channel.lost(error)
        member.channel = None

    # Liveness.

    def _ping(self, nonce: bytes) -> None:
        self._wire.send(m.Ping(nonce))
        self._connection.flush()

    def _measured(self, seconds: float) -> None:
        self._registrar.measured(self.member, seconds)

    def _missed(self) -> None:
        if self._connection.state is SubscriptionState.RETIRING:
            self._replaced()
        else:
            self._connection.say(WARN, "{identity} does not answer pings: ejected")
            self._registrar.eject(self.member)
            self._still_missed()

    def _still_missed(self) -> None:
        """Somebody may have come who takes what it has."""
        if self._connection.state is not SubscriptionState.RETIRING:
            error = GuestGone("the application stopped answering")
            self.channel.move_safe(error, b"timeout")

    def _returned(self) -> None:
        self._connection.say(INFO, "{identity} answers pings again")
        self._registrar.revive(self.member)

    def _dead(self) -> None:
        self._connection.say(WARN, "{identity} is silent: given up")
        self._connection.close(b"timeout", "no pong")
