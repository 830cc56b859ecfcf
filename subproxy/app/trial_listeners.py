"""
Whether what a next program listens on could be had: its trial looks, and makes nothing.

That program is run in the place of the one that is there. Where it could not listen, nothing would
be left to go on with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from subproxy.app.listener import why
from subproxy.config.bare_port import ClientListener, expand_all
from subproxy.config.listen import is_path
from subproxy.config.settings import Settings
from subproxy.endpoints.server_endpoint import PLAIN, server_endpoint
from subproxy.frontend.proxy_protocol.protocol import PREFIX
from subproxy.process.startup import fail
from subproxy.workers.client_sockets import look_at_port

Look = Callable[[], object]


class LookingReactor:
    """A reactor for an endpoint: it looks whether that could listen."""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> object:
        """As IReactorTCP has it."""
        try:
            look_at_port(interface, port)
        except OSError as error:
            raise CannotListenError(interface, port, error) from error
        return self

    def listenUNIX(self, address: str | bytes, *more: Any, **options: Any) -> object:
        """As IReactorUNIX has it."""
        _look_at_folder(os.fsdecode(address))
        return self


def other_places(settings: Settings) -> list[str]:
    """Where is listened on, but for clients."""
    guests = [each.value for each in settings.vsock]
    return [*guests, *(each for each in (settings.admin, settings.peer_listen) if each)]


def look_at_listeners(settings: Settings, has_policy: bool, there: Collection[str]) -> None:
    """
    Look at all that is new.

    @param there: what the program that goes on listens on.
    @raise SystemExit: something can't be had; standard error says why.
    """
    for what, where, look in _looks(settings, has_policy):
        if where in there:
            continue
        try:
            look()
        except Exception as error:
            fail(f"cannot listen for {what} on {where}: {why(error)}")


def _looks(settings: Settings, has_policy: bool) -> Iterator[tuple[str, str, Look]]:
    for what, values in (("HTTP", settings.http), ("HTTPS", settings.https)):
        for client in expand_all(values, has_policy):
            yield what, client.where, partial(_look_for_clients, client)
    for guest in settings.vsock:
        if guest.kind == "path":
            yield "guests", guest.value, partial(_look_at_folder, guest.value)
        elif guest.kind == "endpoint":
            yield "guests", guest.value, partial(_look_at_endpoint, guest.value)
    admin, hosts = settings.admin, settings.peer_listen
    if admin is not None:
        look = _look_at_folder if is_path(admin) else _look_at_endpoint
        yield "admin", admin, partial(look, admin)
    if hosts is not None:
        yield "hosts", hosts, partial(_look_at_endpoint, hosts)


def _look_for_clients(listen: ClientListener) -> None:
    if listen.port is not None:
        look_at_port(listen.interface, listen.port, only_v6=True)
    else:
        _look_at_endpoint(listen.where.removeprefix(PREFIX))


def _look_at_endpoint(where: str) -> None:
    if where.partition(":")[0] not in PLAIN - {"systemd", "vsock", "hvsock"}:
        return  # what that makes, nobody else can tell
    failures: list[Failure] = []
    done: Deferred[Any] = server_endpoint(LookingReactor(), where).listen(Factory())
    done.addErrback(failures.append)
    if failures:
        failures[0].raiseException()


def _look_at_folder(path: str) -> None:
    folder = os.path.dirname(os.path.abspath(path))
    if not path.startswith("\0") and not os.path.isdir(folder):
        raise FileNotFoundError(f"there is no folder {folder}")
