"""What every connection of a guest shares with all others: one object, made once a proxy."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from subproxy.core.dispatcher import Dispatcher
from subproxy.relay.pipes import PipePool
from subproxy.relay.pump import Pump
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.tokens import Tokens
from subproxy.subscription.registrar import Registrar
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.subscription.timer_wheel import TimerWheel
from subproxy.subscription.tunnels import Tunnels
from subproxy.subscription.turn_budget import TurnBudget
from subproxy.wire.values import value_class


@value_class
class GuestContext:
    """
    The constants of the guests' side.

    @ivar clock: what calls later.
    @ivar dispatcher: decides what becomes of an exchange whose guest failed.
    @ivar registrar: decides what a guest may be and serve.
    @ivar settings: times and limits.
    @ivar pipes: what bodies are spliced through.
    @ivar pump: what splices them.
    @ivar tokens: what data connections may carry.
    @ivar turns: how much of a reactor turn newcomers may take.
    @ivar rounds: when each is pinged.
    @ivar tunnels: which tunnels there may be, and how many there are.
    """

    clock: IReactorTime
    dispatcher: Dispatcher
    registrar: Registrar
    settings: SubscriptionSettings
    pipes: PipePool
    pump: Pump
    tokens: Tokens[DataConnection]
    turns: TurnBudget
    rounds: TimerWheel
    tunnels: Tunnels
