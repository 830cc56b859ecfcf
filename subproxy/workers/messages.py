"""
What a parent and its workers say to each other: one class a message, and how it is written.

A message is a dataclass of plain values (text, numbers, lists, dictionaries of these), a C{payload}
of bytes, and C{descriptors} that travel with it. It is written as packets of a socket that keeps
their bounds (C{SOCK_SEQPACKET}): a long one takes several, of which the first has the descriptors.
Names of guests are bytes anywhere else; here they are text, one character a byte (latin-1).

While a parent replaces its workers (SIGUSR2), the two ends may be of different programs. So a
message of a name that is not known here is an L{UnknownMessage}, and so is one that lacks what is
needed; values of names that are not known are left out. What is added to a message has a default.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

PACKET = 61_440
"""Bytes of one packet at most: it has to fit into the smallest send buffer that Linux gives."""

MAX_MESSAGE = 64 << 20
"""Bytes of a message at most; a longer one is a bug."""

MAX_DESCRIPTORS = 250
"""Descriptors of a message at most: Linux takes 253 (C{SCM_MAX_FD})."""

_LAST, _MORE = b".", b"+"


class MessageBroken(Exception):
    """What came is no message of any version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelMessage:
    """
    The root of all messages.

    @ivar payload: bytes that go with it.
    @ivar descriptors: numbers of descriptors that go with it. Who sends gives them away, who
        receives owns them.
    """

    kinds: ClassVar[dict[str, type[ChannelMessage]]] = {}

    payload: bytes = b""
    descriptors: tuple[int, ...] = ()


AnyMessage = TypeVar("AnyMessage", bound=type[ChannelMessage])


def message(kind: AnyMessage) -> AnyMessage:
    """Let C{kind} be sent and understood, by the name of its class."""
    ChannelMessage.kinds[kind.__name__] = kind
    return kind


@dataclass(frozen=True, slots=True)
class UnknownMessage(ChannelMessage):
    """
    A message of another version, which nobody here can do anything with.

    @ivar name: what that calls it.
    @ivar why: what is not understood, for a person.
    """

    name: str
    why: str


def encode(sent: ChannelMessage) -> list[bytes]:
    """
    The packets of a message.

    @raise ValueError: it is too long, or has too many descriptors.
    """
    if len(sent.descriptors) > MAX_DESCRIPTORS:
        raise ValueError(f"a message with {len(sent.descriptors)} descriptors")
    values = {
        each.name: getattr(sent, each.name)
        for each in fields(sent)
        if each.name not in ("payload", "descriptors")
    }
    head = json.dumps([type(sent).__name__, values, len(sent.descriptors)]).encode("ascii")
    data = head + b"\n" + sent.payload
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(data)} bytes")
    parts = [data[at : at + PACKET] for at in range(0, len(data), PACKET)]
    return [*(_MORE + part for part in parts[:-1]), _LAST + parts[-1]]


class MessageDecoder:
    """Puts packets together to messages. Descriptors of what is not whole yet are held."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.held: list[int] = []

    @property
    def partial(self) -> bool:
        """Whether a message has begun that is not whole."""
        return bool(self._parts)

    def feed(self, packet: bytes, descriptors: Sequence[int] = ()) -> ChannelMessage | None:
        """
        The message that C{packet} completes; None if there is more to come.

        @raise MessageBroken: it is none; C{held} are the descriptors that somebody has to close.
        """
        self.held += descriptors
        self._parts.append(packet[1:])
        self._size += len(packet) - 1
        if packet[:1] == _MORE and self._size <= MAX_MESSAGE:
            return None
        if packet[:1] != _LAST:
            raise MessageBroken("what came is no packet of a message, or of one that is too long")
        data = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        head, _, payload = data.partition(b"\n")
        try:
            name, values, count = json.loads(head)
        except (ValueError, TypeError) as error:
            raise MessageBroken(f"{head[:80]!r}: {error}") from None
        if not isinstance(name, str) or not isinstance(values, dict):
            raise MessageBroken(f"{head[:80]!r}: no name, or no values")
        if count != len(self.held):
            raise MessageBroken(f"{name}: {len(self.held)} descriptors came, of {count}")
        descriptors, self.held = tuple(self.held), []
        return _of_values(name, values, payload, descriptors)


def _of_values(
    name: str, values: dict[str, Any], payload: bytes, descriptors: tuple[int, ...]
) -> ChannelMessage:
    kind = ChannelMessage.kinds.get(name)
    if kind is None:
        return UnknownMessage(name, "nobody knows it here", descriptors=descriptors)
    known = {each.name for each in fields(kind)} - {"payload", "descriptors"}
    values = {key: value for key, value in values.items() if key in known}
    try:
        return kind(**values, payload=payload, descriptors=descriptors)
    except TypeError as error:
        return UnknownMessage(name, str(error), descriptors=descriptors)


# Parent and template.


@message
@dataclass(frozen=True, slots=True)
class Fork(ChannelMessage):
    """Parent to template: make a worker, whose end of its channel is the one descriptor."""

    serial: int


@message
@dataclass(frozen=True, slots=True)
class Refresh(ChannelMessage):
    """Parent to template: what is in the files by now is in force, as after a reload."""


@message
@dataclass(frozen=True, slots=True)
class ReadAgain(ChannelMessage):
    """Parent to template: certificates were renewed. Worker to parent: it has read such ones."""


@message
@dataclass(frozen=True, slots=True)
class HasRead(ChannelMessage):
    """Template to parent: so many renewed certificates were read."""

    count: int


@message
@dataclass(frozen=True, slots=True)
class Forked(ChannelMessage):
    """Template to parent: worker C{serial} is process C{pid}."""

    serial: int
    pid: int


@message
@dataclass(frozen=True, slots=True)
class Ended(ChannelMessage):
    """Template to parent: process C{pid} has ended, with that status of C{waitpid}."""

    pid: int
    status: int


# Parent to worker.


@message
@dataclass(frozen=True, slots=True)
class Begin(ChannelMessage):
    """
    What a worker is.

    @ivar slot: which of C{processes} it is, from 0.
    @ivar serial: no other worker of this parent had it lately; its tokens begin with it.
    @ivar listeners: where it listens, as an operator wrote it; its socket is the descriptor at the
        same place.
    @ivar routes: identity, host and path of what guests served just now.
    @ivar assigned: what an operator has said of subscribers, as C{Assigned.plain} has it.
    @ivar replaces: one that has died; it starts with what it can have.
    @ivar more: so many messages follow, of which it has to know before it serves.
    """

    slot: int
    serial: int
    processes: int
    listeners: list[str]
    routes: list[list[str]]
    assigned: dict[str, Any]
    replaces: bool
    more: int = 0


@message
@dataclass(frozen=True, slots=True)
class PassedGuest(ChannelMessage):
    """
    A connection of a guest, the one descriptor; C{payload} are the bytes that were read.

    @ivar identity: which VM it is.
    @ivar refusal: code and reason, if its C{hello} is to be refused.
    @ivar late: it has not said in time what it is.
    """

    identity: str
    refusal: list[str]
    late: bool


@message
@dataclass(frozen=True, slots=True)
class Supersede(ChannelMessage):
    """An instance has greeted at another worker: who has its place here, leaves it."""

    identity: str
    application: str
    worker: int
    instance: str


@message
@dataclass(frozen=True, slots=True)
class Share(ChannelMessage):
    """The quotas of an identity are divided among so many workers."""

    identity: str
    workers: int


@message
@dataclass(frozen=True, slots=True)
class PeerLink(ChannelMessage):
    """
    A connection to another worker, the one descriptor.

    @ivar serial: of that worker.
    @ivar asks: whether this worker asks, and that one's guests answer; or the other way round.
    """

    serial: int
    asks: bool


ALIVE = "alive"
"""What a worker is asked that only has to turn to answer."""


@message
@dataclass(frozen=True, slots=True)
class Ask(ChannelMessage):
    """Do something, and answer; what can be asked is in L{subproxy.app.worker}."""

    number: int
    what: str
    about: list[str]


@message
@dataclass(frozen=True, slots=True)
class Reopen(ChannelMessage):
    """Open the logs anew."""


@message
@dataclass(frozen=True, slots=True)
class Retire(ChannelMessage):
    """Another worker has the listeners: accept no more, send guests away, finish, and end."""


@message
@dataclass(frozen=True, slots=True)
class Stop(ChannelMessage):
    """Stop as on SIGTERM."""

    hurry: bool


@message
@dataclass(frozen=True, slots=True)
class MachineStatus(ChannelMessage):
    """
    How a declared machine is.

    @ivar up: an instance of it has registered what it serves.
    @ivar refused: seconds for which nobody is to wait for it; 0: who asks may wait.
    """

    name: str
    up: bool
    refused: float


@message
@dataclass(frozen=True, slots=True)
class MachineStarts(ChannelMessage):
    """
    A machine is started: whichever instances its guest has, they are new ones.

    @ivar run: what this run of it is called; empty: it is over.
    """

    identity: str
    run: str


@message
@dataclass(frozen=True, slots=True)
class TicketKeys(ChannelMessage):
    """Sessions of TLS are resumed by the keys in C{payload}, as at all other workers."""


@message
@dataclass(frozen=True, slots=True)
class Away(ChannelMessage):
    """The parent reads nothing for so many seconds, at most: guests may be slow to come."""

    seconds: float


# Worker to parent.

SOME_INSTANCE = -1
"""Of C{MachineAnswered}: it is a guest of another worker."""


@message
@dataclass(frozen=True, slots=True)
class Ready(ChannelMessage):
    """It serves."""


@message
@dataclass(frozen=True, slots=True)
class Leaving(ChannelMessage):
    """Somebody has told it to stop, and that was not the parent: it serves no more."""


@message
@dataclass(frozen=True, slots=True)
class Failed(ChannelMessage):
    """It cannot serve, for that reason, and ends."""

    reason: str


@message
@dataclass(frozen=True, slots=True)
class Subscribed(ChannelMessage):
    """An instance of a guest is subscribed there, and called by C{number} from now on."""

    number: int
    identity: str
    application: str
    worker: int
    instance: str


@message
@dataclass(frozen=True, slots=True)
class Left(ChannelMessage):
    """It is no more, and with it all that it registered."""

    number: int


@message
@dataclass(frozen=True, slots=True)
class RouteServed(ChannelMessage):
    """A subscription has registered a route, or given it back."""

    number: int
    host: str
    path: str
    served: bool
    passthrough: bool = False


@message
@dataclass(frozen=True, slots=True)
class Closed(ChannelMessage):
    """A connection of a guest that was passed is closed."""

    identity: str


@message
@dataclass(frozen=True, slots=True)
class Conduct(ChannelMessage):
    """C{offence}: a guest did what no honest one does. C{refund}: a dial of it does not count."""

    identity: str
    what: str


@message
@dataclass(frozen=True, slots=True)
class MachineUsed(ChannelMessage):
    """
    What is asked of a declared machine.

    @ivar waiting: requests that wait for it.
    @ivar since: when the first of them came, in seconds of the monotonic clock.
    @ivar instances: by number (JSON wants text): requests and tunnels under way, requests that it
        was given so far, and how many it takes at once.
    """

    name: str
    waiting: int
    since: float
    instances: dict[str, list[int]]


@message
@dataclass(frozen=True, slots=True)
class MachineAnswered(ChannelMessage):
    """
    The first request that waited for a machine has the first byte of its answer.

    @ivar index: which instance has answered; or C{SOME_INSTANCE}.
    @ivar at: when, in seconds of the monotonic clock.
    """

    name: str
    index: int
    at: float


@message
@dataclass(frozen=True, slots=True)
class Answer(ChannelMessage):
    """What C{Ask} of that number has come to: C{payload}."""

    number: int


@message
@dataclass(frozen=True, slots=True)
class Logged(ChannelMessage):
    """A line for the log: the name of a level, who logs, and the text."""

    level: str
    namespace: str
    text: str
