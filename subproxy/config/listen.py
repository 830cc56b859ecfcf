"""What an operator writes for a listener: ports, endpoints, paths and patterns, told apart."""

from __future__ import annotations

import os
import re

from subproxy.config.bare_port import is_bare
from subproxy.config.listener_versions import split_versions
from subproxy.wire.values import value_class

_MAGIC = re.compile(r"[*?[]")
_ETCD = re.compile(r"etcd:https?://[A-Za-z0-9.:\[\]-]+\Z")
_PREFIX = re.compile(r"/(?:[A-Za-z0-9._-]+/)*\Z")
_ENDPOINT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:")
_ADDRESS = re.compile(r"(localhost|[0-9.]+|\[[0-9A-Fa-f:.]+\]|\*|):([0-9]{1,5})\Z")
"""HOST:PORT, as other servers are told where to listen; no kind of endpoint is called so."""


@value_class
class VsockListen:
    """
    One C{--vsock}.

    @ivar kind: C{"endpoint"}, C{"path"} or C{"glob"}.
    @ivar value: the endpoint string, path or pattern.
    @ivar optional: it is a default, not a demand.
    """

    kind: str
    value: str
    optional: bool = False


def is_path(value: str) -> bool:
    """Whether a listener was given as a path, and not as an endpoint."""
    return value.startswith("/") or not _ENDPOINT.match(value)


def parse_http(value: str) -> str:
    """
    What C{--http} asks for: a bare port (see L{subproxy.config.bare_port}), or an endpoint
    string; and whether HTTP/2 is spoken there (see L{subproxy.config.listener_versions}).

    @raise ValueError: it is neither.
    """
    where, _ = split_versions(value)
    if is_bare(where):
        if int(where) > 65535:
            raise ValueError("a port is at most 65535")
        return value
    _no_address(where)
    if not _ENDPOINT.match(where):
        raise ValueError("neither a port nor an endpoint such as tcp:8888:interface=127.0.0.1")
    return value


def _no_address(value: str) -> None:
    address = _ADDRESS.match(value)
    if address:
        raise ValueError(f"say {_endpoint_of(*address.groups())}")


def _endpoint_of(host: str, port: str) -> str:
    """The endpoint that listens there."""
    if host in ("", "*", "0.0.0.0"):
        return f"tcp:{port}"
    if host.startswith("["):
        interface = host[1:-1].replace(":", "\\:")
        return f"tcp6:{port}:interface={interface}"
    return f"tcp:{port}:interface={'127.0.0.1' if host == 'localhost' else host}"


def parse_https(value: str) -> str:
    """
    What C{--https} asks for: as L{parse_http}, but that TLS is done behind the endpoint.

    @raise ValueError: it is neither, or an endpoint that does TLS itself.
    """
    parse_http(value)
    if value.removeprefix("haproxy:").startswith(("ssl:", "tls:")):
        raise ValueError("TLS is done here: say tcp:PORT")
    return value


def parse_vsock(value: str) -> VsockListen:
    """
    What a C{--vsock} asks for: a port, an endpoint, a path or a pattern.

    @raise ValueError: guests can't dial in there.
    """
    if is_bare(value):
        if int(value) > 0xFFFFFFFE:
            raise ValueError("a vsock port has 32 bits")
        return VsockListen("endpoint", f"vsock:{value}")
    _no_address(value)
    if not is_path(value):
        return VsockListen("endpoint", value)
    folder, name = os.path.split(value)
    if _MAGIC.search(folder):
        raise ValueError("only the last part of a path may be a pattern")
    if _MAGIC.search(name):
        return VsockListen("glob", value)
    if not name:
        raise ValueError("the path of a VM's socket, or a pattern, is needed")
    return VsockListen("path", value)


def parse_acme(value: str) -> str:
    """
    The directory that C{--acme} names.

    @raise ValueError: it is no URL of https: what is ordered there could be anybody's.
    """
    if not value.startswith("https://"):
        raise ValueError("the URL of a directory is needed, https://...")
    return value


def parse_peer_listen(value: str) -> str:
    """
    What C{--peer-listen} asks for: an endpoint; a bare port is one of all interfaces.

    @raise ValueError: it is neither, or an endpoint that does TLS itself.
    """
    parse_https(value)
    if value.startswith("haproxy:") or split_versions(value)[0] != value:
        raise ValueError("hosts dial each other directly: say tcp:PORT")
    return f"tcp:{value}" if is_bare(value) else value


def parse_cluster(value: str) -> str:
    """
    What C{--cluster} names: a member of etcd.

    @raise ValueError: it is none.
    """
    if not _ETCD.match(value):
        raise ValueError("etcd:http://HOST:PORT is needed, or https")
    return value


def parse_prefix(value: str) -> str:
    """
    What C{--cluster-prefix} asks for.

    @raise ValueError: keys cannot begin so.
    """
    if not _PREFIX.match(value):
        raise ValueError("letters, digits, and . _ - / are needed, a slash at both ends")
    return value


def parse_admin(value: str) -> str:
    """
    What C{--admin} asks for: a path or an endpoint string.

    @raise ValueError: it is a bare port, of which nobody could say for whom it is; or HOST:PORT,
        which is no path for anybody.
    """
    if is_bare(value):
        raise ValueError(
            f"a path is needed, or an endpoint such as tcp:{value}:interface=127.0.0.1"
        )
    _no_address(value)
    return value
