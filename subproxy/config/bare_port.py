"""
What a bare port, C{--http=8888}, means: both versions of IP, and everybody or this machine alone.

Without a policy any guest may claim any host, so that a client from elsewhere could be answered
by whoever came first: a bare port is then one of the loopback interface. With a policy it is
one of all interfaces. An endpoint such as C{tcp:8888} means what it says, always.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from subproxy.config.listener_versions import split_versions
from subproxy.endpoints.ipv6 import IPv6Endpoint, has_ipv6
from subproxy.endpoints.server_endpoint import server_endpoint
from subproxy.wire.values import value_class

LOCAL_ONLY = (
    "no policy is in force: any guest may claim any host and path, so port {ports} answers this "
    "machine alone; to open it to others, say who may claim what (--policy=FILE), or {example}"
)
OPEN = "no policy is in force: any guest may claim any host and path (see --policy)"


@value_class
class ClientListener:
    """
    One listening socket for clients.

    @ivar where: the endpoint string.
    @ivar port: of IPv6 alone, on C{interface}; None: C{where} says all.
    @ivar http2: HTTP/2 is spoken there, where it is spoken at all.
    """

    where: str
    port: int | None = None
    interface: str = ""
    http2: bool = True

    def endpoint(self, reactor: Any) -> Any:
        """
        The server endpoint of the option's value.

        @raise Exception: C{where} is no endpoint.
        """
        if self.port is None:
            return server_endpoint(reactor, self.where)
        return IPv6Endpoint(reactor, self.port, self.interface)


def is_bare(value: str) -> bool:
    """Tell whether the option's value is a port and nothing else."""
    return value.isascii() and value.isdigit()


def expand_all(values: Iterable[str], policy: bool) -> list[ClientListener]:
    """The listeners of all C{values} of an option, in order."""
    return [listen for value in values for listen in expand(value, policy)]


def expand(
    value: str, policy: bool, ipv6: Callable[[str], bool] = has_ipv6
) -> Sequence[ClientListener]:
    """
    The sockets that one C{--http} asks for.

    @param value: a port or an endpoint string, with what it says of HTTP/2.
    @param policy: a policy is in force.
    @param ipv6: whether there is IPv6 with that address.
    """
    value, http2 = split_versions(value)
    if not is_bare(value):
        return [ClientListener(value, http2=http2)]
    port = int(value)
    four, six = ("", "::") if policy else ("127.0.0.1", "::1")
    where = f"tcp:{port}" + (f":interface={four}" if four else "")
    found = [ClientListener(where, http2=http2)]
    # Two sockets that ask for any free port get two.
    if port and ipv6(six):
        escaped = six.replace(":", "\\:")
        found.append(ClientListener(f"tcp6:{port}:interface={escaped}", port, six, http2))
    return found


def asks_for_port(value: str) -> bool:
    """Tell whether a C{--http} or C{--https} is a bare port, whatever it says of HTTP/2."""
    return is_bare(split_versions(value)[0])


def without_policy(http: Sequence[str], https: Sequence[str] = ()) -> str:
    """
    What is to be said where no policy is in force.

    @param http: where clients come.
    @param https: where they come over TLS.
    """
    ports = [("http", split_versions(value)[0]) for value in http if asks_for_port(value)]
    ports += [("https", split_versions(value)[0]) for value in https if asks_for_port(value)]
    if not ports:
        return OPEN
    option, first = ports[0]
    return LOCAL_ONLY.format(
        ports=", ".join(value for _, value in ports), example=f"--{option}=tcp:{first}"
    )
