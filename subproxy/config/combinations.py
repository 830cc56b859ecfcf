"""Which settings go together, and which listeners there are where none was asked for."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import Any

from subproxy.config.listen import VsockListen
from subproxy.config.settings import DEFAULT_FOLDER, DEFAULT_HTTP
from subproxy.frontend.proxy_protocol.protocol import is_proxied


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
    if values["acme"] is not None and values["workers"] > 1:
        # Each would order, and a challenge may come to any of them.
        raise ValueError("--acme: not with --workers; order by another client (--acme-challenges)")
    if values["certificates"] and not values["https"]:
        raise ValueError("--certificates: no listener shows them; say --https=PORT")
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
