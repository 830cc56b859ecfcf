"""A host of a cluster: a proxy with a name, a certificate for it, and guests."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import Any

from tests.integration import admin_client
from tests.integration.harness import Process, World, free_port, wait_until
from tests.rigs.tls_rig import Authority


class Host(World):
    """
    See above.

    @ivar peer_port: where other hosts dial in.
    """

    def __init__(self, name: str, authority: Authority) -> None:
        super().__init__()
        self.name = name
        self.peer_port = free_port()
        self.admin = self.folder / "admin"
        self.certificate = self.folder / "host.pem"
        self.certificate.write_bytes(authority.issue(name))
        self.authority = self.folder / "ca.pem"
        self.authority.write_bytes(authority.pem)

    @property
    def peer(self) -> str:
        """What others say to be asked by this one."""
        return f"--peer={self.name}=127.0.0.1:{self.peer_port}"

    def serve(self, *options: str) -> Process:
        """Start the proxy."""
        return self.start_proxy(
            f"--peer-listen=tcp:{self.peer_port}:interface=127.0.0.1",
            f"--peer-certificate={self.certificate}",
            f"--peer-ca={self.authority}",
            f"--admin={self.admin}",
            "--access-log=none",
            *options,
        )

    def guest(self, application: str, *options: str, said: str = "") -> Process:
        """A guest that serves C{blog.example}, or what the options say."""
        hosts = options or ("--host=blog\\.example",)
        guest = self.start(
            "guest",
            [*self.guest_command(), *hosts, f"tests.integration.apps:{application}"],
            APP_NAME=said or self.name,
        )
        guest.wait_for("registered")
        return guest

    def guest_of(self, application: str, host: str = "blog\\.example", *options: str) -> Process:
        """A guest of that application, which serves C{host}."""
        command = [*self.guest_command(), f"--host={host}", *options, application]
        guest = self.start("guest", command)
        guest.wait_for("registered")
        return guest

    def guest_command(self) -> list[str]:
        """What begins a guest."""
        import sys

        return [sys.executable, "-m", "guest", f"--proxy=unix:{self.vsock}_12345"]

    def api(self, path: str) -> Any:
        """What the admin listener says."""
        return admin_client.api(self.admin, path)

    def metric(self, name: str) -> float:
        """A number of the metrics page."""
        return admin_client.metric(self.admin, name)

    def until_asks(self, *names: str) -> None:
        """Wait until those hosts, and no others, can be asked."""

        def asked() -> bool:
            found = {
                each["host"] for each in self.api("/api/hosts")["hosts"] if each["asked"] != "no"
            }
            return found == set(names)

        wait_until(asked, f"{self.name} asks {names}")

    def until_answered(self, said: str, host: str = "blog.example", deadline: float = 30.0) -> None:
        """Wait until that guest answers."""
        wait_until(lambda: self.said(host) == said, f"{said} answers at {self.name}", deadline)

    def said(self, host: str = "blog.example") -> str:
        """Who answers; or the status."""
        status, _, body = self.ask(host=host)
        return body.decode().strip() if status == 200 else str(status)

    def connection(self) -> HTTPConnection:
        """A client's."""
        return HTTPConnection("127.0.0.1", self.port, timeout=20)
