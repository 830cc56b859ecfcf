"""The listening sockets for clients that a parent makes, or has of its former program."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.protocol import Factory

from subproxy.app.listener import why
from subproxy.app.parent_state import ParentState
from subproxy.config.bare_port import expand_all
from subproxy.config.settings import Settings
from subproxy.endpoints.adopted import check_systemd
from subproxy.endpoints.server_endpoint import server_endpoint
from subproxy.frontend.proxy_protocol.protocol import PREFIX, is_proxied
from subproxy.process.startup import fail
from subproxy.workers.client_sockets import ClientSockets, tcp_sockets


def make_client_sockets(
    reactor: Any,
    settings: Settings,
    has_policy: bool,
    state: ParentState,
    sockets: ClientSockets,
) -> None:
    """
    Let C{sockets} have one for each worker and each place where clients are listened for.

    @param state: what the former program has left.
    @raise SystemExit: one can't be had; standard error says why.
    """
    inherited = dict(state.clients)
    for option, values in (("http", settings.http), ("https", settings.https)):
        for listen in expand_all(values, has_policy):
            left = inherited.pop(listen.where, None)
            try:
                if left is not None:
                    found = [socket.socket(fileno=each) for each in left]
                    sockets.adopt(listen.where, found, settings.workers)
                elif listen.port is not None:
                    sockets.made[listen.where] = tcp_sockets(
                        listen.interface, listen.port, settings.workers, only_v6=True
                    )
                else:
                    _make(reactor, listen.where, settings.workers, sockets)
            except ValueError as error:
                fail(f"--{option}={listen.where}: {error}")
            except Exception as error:
                what = "HTTP" if option == "http" else "HTTPS"
                fail(f"cannot listen for {what} on {listen.where}: {why(error)}")
    for unwanted in inherited.values():
        for each in unwanted:
            os.close(each)
    sockets.adopted += state.names


def _make(reactor: Any, where: str, workers: int, sockets: ClientSockets) -> None:
    plain = where.removeprefix(PREFIX) if is_proxied(where) else where
    check_systemd(plain)

    def listen(maker: Any) -> Any:
        return server_endpoint(maker, plain).listen(Factory())

    sockets.make(where, workers, listen, reactor)
