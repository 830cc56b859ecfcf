"""Which settings go together, and which listeners there are where none was asked for."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping
from typing import Any

from subproxy.config.listen import VsockListen
from subproxy.config.settings import DEFAULT_FOLDER, DEFAULT_HTTP
from subproxy.frontend.proxy_protocol.protocol import is_proxied

_LISTENS = re.compile(r"tcp6?:([0-9]+):interface=([0-9a-fA-F.:\\]+)\Z")


def complete(values: MutableMapping[str, Any]) -> None:
    """
    Fill in which listeners there are where none was asked for.

    @param values: by option; what has several is a list.
    @raise ValueError: two settings do not go together.
    """
    if values["https"] and not values["certificates"] and values["acme"] is None:
        raise ValueError("--https: say where the certificates are (--certificates=FOLDER)")
    if values["acme"] is not None and not values["https"]:
        raise ValueError("--acme: no listener shows certificates; say --https=PORT")
    if values["certificates"] and not values["https"]:
        raise ValueError("--certificates: no listener shows them; say --https=PORT")
    _check_hosts(values)
    if not values["http"] and not values["https"]:
        values["http"].append(DEFAULT_HTTP)
    listeners = [*values["http"], *values["https"]]
    if values["proxy-protocol"] and not any(map(is_proxied, listeners)):
        raise ValueError("--proxy-protocol: no listener expects it; say --http=haproxy:tcp:PORT")
    if not values["vsock"]:
        if os.path.exists("/dev/vsock"):
            port = values["vsock-port"]
            values["vsock"].append(VsockListen("endpoint", f"vsock:{port}", optional=True))
        values["vsock"].append(VsockListen("glob", DEFAULT_FOLDER, optional=True))


def _check_hosts(values: MutableMapping[str, Any]) -> None:
    """@raise ValueError: what is said of other hosts does not go together."""
    listens, dials = values["peer-listen"], values["peer"]
    cluster = values["cluster"]
    wanted = [option for option in ("peer-listen", "peer", "cluster") if values[option]]
    for option in ("peer-certificate", "peer-ca"):
        if wanted and not values[option]:
            raise ValueError(f"--{wanted[0]}: say --{option}=FILE, too")
        if values[option] and not wanted:
            raise ValueError(f"--{option}: no other host is named; say --peer-listen or --peer")
    if cluster and dials:
        raise ValueError("--peer: not with --cluster, which names the hosts")
    if len({each.startswith("etcd:https:") for each in cluster}) > 1:
        raise ValueError("--cluster: all members by http, or all by https")
    if cluster and not listens:
        raise ValueError("--cluster: say where the others dial in (--peer-listen=PORT)")
    for option in ("cluster-credentials", "cluster-ca", "peer-address"):
        if values[option] and not cluster:
            raise ValueError(f"--{option}: there is no --cluster")
    if cluster and not (values["peer-address"] or address_of(listens)):
        raise ValueError("--cluster: say where the others dial this host (--peer-address)")


def address_of(listen: str) -> str | None:
    """The address of C{--peer-listen}, if it names one: C{HOST:PORT}."""
    found = _LISTENS.match(listen)
    if found is None:
        return None
    # Colons are escaped in the strings of endpoints.
    port, interface = found.group(1), found.group(2).replace("\\", "")
    if interface in ("0.0.0.0", "::"):
        return None
    return f"[{interface}]:{port}" if ":" in interface else f"{interface}:{port}"
