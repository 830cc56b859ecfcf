"""What can be set of other hosts: rows of the table of L{subproxy.config.settings}."""

from __future__ import annotations

from typing import Final

from subproxy.config.listen import parse_cluster, parse_peer_listen, parse_prefix
from subproxy.config.setting import Text
from subproxy.config.setting_fields import many, maybe, one
from subproxy.core.host_address import parse_peer, split_address
from subproxy.wire.values import mixed_value_class

OTHER_HOSTS: Final = "Other hosts"


def _address(text: str) -> str:
    """@raise ValueError: C{text} is no C{HOST:PORT}."""
    split_address(text)
    return text


def _peer(text: str) -> str:
    """@raise ValueError: C{text} is no C{NAME=HOST:PORT}."""
    parse_peer(text)
    return text


@mixed_value_class
class HostSettings:
    """See above."""

    peer_listen: str | None = maybe(
        Text(parse_peer_listen, port=True),
        "Proxies of other hosts dial in there, over mutual TLS: a port of all interfaces, or an "
        "endpoint such as tcp:7443:interface=192.0.2.1. They are asked what their guests serve.",
        OTHER_HOSTS,
        "cluster",
        key="listen",
        word="PORT|ENDPOINT",
    )
    peer_certificate: str | None = maybe(
        Text(str),
        "Certificate and key of this host among its peers, a PEM file. Its first DNS name is what "
        "the host is called.",
        OTHER_HOSTS,
        "cluster",
        key="certificate",
        word="FILE",
    )
    peer_ca: str | None = maybe(
        Text(str),
        "Authority that signs the certificates of peers, and nothing else: a PEM file.",
        OTHER_HOSTS,
        "cluster",
        key="ca",
        word="FILE",
    )
    peer: tuple[str, ...] = many(
        Text(_peer),
        "A host that may ask what is served here, such as kvm-2=192.0.2.2:7443; the name is that "
        "of its certificate. May repeat. With --cluster they are found there.",
        OTHER_HOSTS,
        "cluster",
        word="NAME=HOST:PORT",
    )
    peer_address: str | None = maybe(
        Text(_address),
        "Where other hosts dial this one (default: the interface and the port of --peer-listen).",
        OTHER_HOSTS,
        "cluster",
        key="address",
        word="HOST:PORT",
        otherwise="that of `--peer-listen`",
    )
    cluster: tuple[str, ...] = many(
        Text(parse_cluster),
        "Find other hosts, and what they serve, in etcd: one of its members, such as "
        "etcd:http://127.0.0.1:2379. May repeat: the next one is asked where one does not answer.",
        OTHER_HOSTS,
        "cluster",
        key="store",
        word="etcd:URL",
    )
    cluster_prefix: str = one(
        Text(parse_prefix),
        "/subproxy/",
        "What the keys of this cluster begin with there.",
        OTHER_HOSTS,
        "cluster",
        key="prefix",
        word="PREFIX",
    )
    cluster_credentials: str | None = maybe(
        Text(str),
        "File with a line USER:PASSWORD, where etcd wants to know who asks.",
        OTHER_HOSTS,
        "cluster",
        key="credentials",
        word="FILE",
    )
    cluster_ca: str | None = maybe(
        Text(str),
        "Authority of etcd's certificates, a PEM file (default: those that the system trusts).",
        OTHER_HOSTS,
        "cluster",
        key="store-ca",
        word="FILE",
        otherwise="the system's",
    )
