"""subproxy, everything on: routing, choice, header filter, X-Forwarded-For, log and metrics."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import socket
import sys
from pathlib import Path

from ..build import ROOT, program
from ..rig import HOST, Rig, free_port
from .base import Contender, Server
from .twisted_echo import missing_reactor

PORT = 12345
"""The well-known port of the control connection; its emulated socket is PATH_12345."""


class Subproxy(Contender):
    """C{twistd -n subproxy} on a reactor, with a guest on its emulated vsock.

    The guest is C{native/guest.c}, as the peers' backend is in C; for bodies it is
    C{native/bulk_guest.c}, which dials data connections, and moves bodies with the very code
    of that backend. It runs on the core of the load.
    """

    def __init__(
        self,
        reactor: str,
        *,
        fastpath: bool = True,
        bodies: bool = False,
        subscriptions: int = 1,
        routes: int = 1,
        sites: int = 0,
        operator: bool = False,
        traces: float | None = None,
        checkout: Path | None = None,
        run: bool = False,
    ) -> None:
        """
        One way of running it.

        @param sites: how many sites a configuration file has: one is that of the requests, and has
            rules that are numbers.
        @param operator: what an operator has at hand is configured: the admin listener, and sites
            with all that a public route may have beside.
        @param traces: traces are followed, and so many of them sampled.
        @param checkout: a tree with its own virtual environment, to be measured beside another.
        @param run: it is started by C{subproxy run}, which chooses its reactor: on
            C{compiled_epoll}, io_uring is not permitted to it.
        """
        self.name = f"subproxy-{reactor.replace('_', '-')}"
        self.title = f"subproxy, {reactor}"
        if not fastpath:
            self.name += "-python"
            self.title += ", no fast path"
        if subscriptions > 1:
            self.name += f"-{subscriptions}"
            self.title += f", {subscriptions:,} subscriptions, {subscriptions * routes:,} routes"
        self._reactor = reactor
        self._fastpath = fastpath
        self._bodies = bodies
        self._subscriptions = subscriptions
        self._routes = routes
        self._sites = sites
        self._operator = operator
        self._traces = traces
        self._root = checkout or ROOT
        # With -c or -m it would be the tree of the current folder.
        self._twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        if checkout is not None:
            self._twistd = [str(checkout / ".venv" / "bin" / "twistd")]
        self._run: list[str] = []
        if run:
            self._run = [sys.executable, "-m", "subproxy", "run"]
            if checkout is not None:
                self._run = [str(checkout / ".venv" / "bin" / "subproxy"), "run"]
            if reactor == "compiled_epoll":
                self._run.insert(0, program("without_io_uring"))
            elif reactor != "io_uring":
                raise ValueError(f"subproxy run takes no {reactor}")

    def missing(self) -> str | None:
        if importlib.util.find_spec("subproxy.tap") is None:
            return "subproxy.tap"
        return missing_reactor(self._reactor)

    def start(self, rig: Rig) -> Server:
        port = free_port()
        path = rig.path("vm.sock") if self._subscriptions == 1 else self._machines(rig)
        environment = {"PYTHONPATH": str(self._root)}
        begin = self._run or [
            *self._twistd,
            *("-n", f"--pidfile={rig.path('twistd.pid')}"),
            # As it comes it takes io_uring where it can. To be told of a reactor is to import
            # it, and pyOpenSSL with it, before the proxy's own modules can leave that out.
            *([] if self._reactor == "io_uring" else [f"--reactor={self._reactor}"]),
            "subproxy",
        ]
        process = rig.spawn(
            [
                *begin,
                f"--http=tcp:{port}:interface=127.0.0.1:backlog=4096",
                *(
                    f"--vsock={path.replace('#', '*')}",
                    f"--access-log={rig.path('access.log')}",
                    "--keepalive-requests=1000000000",
                    *self.options(rig),
                ),
            ],
            counted=True,
            env=environment,
        )
        if self._subscriptions == 1:
            rig.wait_for_socket(f"vm.sock_{PORT}")
        rig.spawn(self._guest(f"{path}_{PORT}"), env=environment)
        if self._subscriptions == 1:
            rig.wait_for_answer(port)
        else:
            for index in range(self._subscriptions):
                rig.wait_for_answer(port, f"app{index}.{HOST}")
        return Server(port, process, rig)

    def options(self, rig: Rig) -> list[str]:
        """What its command line says beside where it listens and what it logs."""
        options = [] if self._fastpath else ["--no-fastpath"]
        if self._sites:
            options.append(f"--config={rig.write('subproxy.toml', sites_file(self._sites))}")
        if self._operator:
            options.append(f"--config={rig.write('subproxy.toml', OPERATOR_FILE)}")
            options.append(f"--admin={rig.path('admin.sock')}")
        if self._traces is not None:
            options.append(f"--traces={self._traces}")
        return options

    def _machines(self, rig: Rig) -> str:
        """Makes the vsock sockets of as many machines as subscriptions; a # is their number."""
        folder = rig.directory / "vms"
        folder.mkdir()
        for number in range(self._subscriptions):
            with socket.socket(socket.AF_UNIX) as machine:
                machine.bind(str(folder / f"{number}.sock"))
        return str(folder / "#.sock")

    def _guest(self, where: str) -> list[str]:
        if self._bodies:
            return [program("bulk_guest"), where, HOST]
        command = [program("guest"), where, HOST]
        return [*command, str(self._subscriptions), str(self._routes)]

    def version(self) -> str:
        try:
            return importlib.metadata.version("subscription-proxy-vsock")
        except importlib.metadata.PackageNotFoundError:
            return "from the checkout"


OPERATOR_FILE = f"""
[guests]
eject-failures = 3

[[site]]
hosts = "{HOST}"
max-body = "16 MiB"
response-timeout = 30
starting-page = true
wake = ["GET"]
upgrade = ["websocket"]

[[site]]
hosts = "{HOST}"
paths = "/inside"
networks = "10.0.0.0/8"
server-timing = true

[[site]]
hosts = "other.example"
rate = "100/m"
server-timing = true
"""
"""Rules of which those for other hosts and paths are asked at each request."""


def sites_file(count: int) -> str:
    """A configuration file of so many sites, one of which is that of the requests."""
    hosts = [HOST, *(f"site{number}.example" for number in range(1, count))]
    return "".join(
        f'[[site]]\nhosts = "{host}"\nmax-body = "16 MiB"\nresponse-timeout = 30\nhold = 5\n\n'
        for host in hosts
    )
