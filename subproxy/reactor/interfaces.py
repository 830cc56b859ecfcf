"""What the reactor can do beyond Twisted's own interfaces."""

from __future__ import annotations

from zope.interface import Interface

# zope's interfaces are written without ``self``.
# mypy: disable-error-code="no-untyped-def,misc"


class IReactorStreamSocket(Interface):
    """Stream sockets of families that Twisted has no names for, such as AF_VSOCK.

    A socket given to either method belongs to the reactor from then on: it is
    closed with the port or the connection.
    """

    def listenStreamSocket(skt, factory, buildAddress):
        """Accept connections from a socket that is listening already.

        C{buildAddress} is called with a raw name, as C{accept} gives it, for
        every peer, and with what C{getsockname} gives, for hosts; it returns
        an IAddress, or None to refuse a connection. Returns an IListeningPort.
        """

    def adoptStreamSocket(skt, protocol, peer, host, server, sessionno):
        """Make the transport of a socket that is connected already.

        C{peer} and C{host} are what its getPeer and getHost return; C{server}
        is the port that accepted it or None, C{sessionno} a number for logs.
        The transport reads from then on, and nothing is delivered before the
        reactor's next turn: call C{protocol.makeConnection(transport)} now.
        """


class IReactorTurns(Interface):
    """A reactor that counts its turns."""

    def turnNumber():
        """How many turns have begun: the number of the one that is under way, or was the last."""


class IReactorReadiness(Interface):
    """Readiness without what an IReadDescriptor costs each time it is ready."""

    def watchReadable(fd, ready, name):
        """Call C{ready()} in every turn in which C{fd} is readable; C{name} is for logs.

        C{fd} stays its owner's. Returns an object with C{stop()}, after which the descriptor may
        be closed, and C{again()}: call in the next turn, whether it is readable or not.
        """
