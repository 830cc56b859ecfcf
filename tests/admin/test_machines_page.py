"""The pages of machines: what is asked of whom."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.guard import Guard
from subproxy.admin.machines_page import NO_MACHINES
from subproxy.admin.pages import Reply
from subproxy.admin.site import Admin, operations_site
from tests.rigs.world import World


class Recorder:
    """Says what it was asked."""

    def __init__(self) -> None:
        self.ready = lambda: True

    def metrics(self) -> bytes:
        return b""

    def reply(self, what: str, about: str = "") -> Reply | Deferred[Reply]:
        found: Reply = {"what": what, "about": about}, 200
        return found if what == "machines" else succeed(found)


class MachinesPageTests(SynchronousTestCase):
    def ask(
        self, target: str, method: str = "GET", admin: Any = None, body: str | None = None
    ) -> tuple[int, Any]:
        site = operations_site(admin or Recorder(), Guard(), Clock())
        site.doStart()
        self.addCleanup(site.doStop)
        protocol = site.buildProtocol(None)
        transport = StringTransport(hostAddress=UNIXAddress("/run/admin.sock"))
        protocol.makeConnection(transport)
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {target} HTTP/1.0\r\nHost: x\r\n{length}\r\n{body or ''}"
        protocol.dataReceived(head.encode())
        head, _, said = transport.value().decode().partition("\r\n\r\n")
        return int(head.split()[1]), json.loads(said)

    def asked(self, target: str, method: str = "GET") -> tuple[str, str]:
        status, data = self.ask(target, method)
        self.assertEqual(status, 200, data)
        return data["what"], data["about"]

    def test_list(self) -> None:
        """With a slash at the end, or none."""
        self.assertEqual(self.asked("/api/machines"), ("machines", ""))
        self.assertEqual(self.asked("/api/machines/"), ("machines", ""))

    def test_verbs(self) -> None:
        """Done by POST alone."""
        for verb in ("start", "stop", "restart"):
            path = f"/api/machines/blog/{verb}"
            self.assertEqual(self.asked(path, "POST"), (f"machine-{verb}", "blog"))
            self.assertEqual(self.ask(path)[0], 405)
        path = "/api/machines/dev-%7B1%7D/stop"
        self.assertEqual(self.asked(path, "POST"), ("machine-stop", "dev-{1}"))

    def test_another_name(self) -> None:
        """What is not the name of a machine is not cut until it is one."""
        for name in ("blog%20x", "blog%20", "blog%2Fx"):
            path = f"/api/machines/{name}"
            self.assertEqual(self.ask(path, "DELETE")[0], 404)
            self.assertEqual(self.ask(path, "POST", body="{}")[0], 404)
            self.assertEqual(self.ask(f"{path}/console")[0], 404)
            for verb in ("start", "stop", "restart"):
                self.assertEqual(self.ask(f"{path}/{verb}", "POST")[0], 404)

    def test_changes(self) -> None:
        """A body of JSON makes one, or changes it; what is too long is refused."""
        for target, what, about in (
            ("/api/machines", "machine-add", " {}"),
            ("/api/machines/dev-%7B1%7D", "machine-change", "dev-{1} {}"),
        ):
            self.assertEqual(
                self.ask(target, "POST", body="{}"), (200, {"what": what, "about": about})
            )
            self.assertEqual(self.ask(target, "POST")[0], 411)
            self.assertEqual(self.ask(target, "POST", body="x" * 8193)[0], 413)
        self.assertEqual(self.asked("/api/machines/blog", "DELETE"), ("machine-remove", "blog "))
        self.assertEqual(self.ask("/api/machines", "DELETE")[0], 404)
        path = "/api/machines/blog/snapshot"
        self.assertEqual(self.asked(path, "DELETE"), ("machine-drop-snapshot", "blog"))
        self.assertEqual(self.ask("/api/machines/blog/console", "DELETE")[0], 404)
        self.assertEqual(self.ask("/api/machines/blog%20/snapshot", "DELETE")[0], 404)

    def test_console(self) -> None:
        """Of which instance, and from where."""
        path = "/api/machines/blog/console"
        self.assertEqual(self.asked(path), ("machine-console", "blog///"))
        found = self.asked(f"{path}?instance=1&from=-5")
        self.assertEqual(found, ("machine-console", "blog/1/-5/"))
        self.assertEqual(self.asked(f"{path}?instance=1/2"), ("machine-console", "blog/12//"))

    def test_others(self) -> None:
        """Are not there."""
        for path in ("/api/machines/blog", "/api/machines/blog/other", "/api/machines/a/b/c"):
            self.assertEqual(self.ask(path)[0], 404)
        for path in ("/api/machines/blog/other", "/api/machines/a/b/c"):
            self.assertEqual(self.ask(path, "POST")[0], 404)

    def test_one_process(self) -> None:
        """Without machines there is nobody who keeps any."""
        world = World()
        admin = Admin(
            world.registry,
            world.router,
            world.clock.seconds,
            world.dispatcher.capacity,
            lambda: True,
        )
        self.assertEqual(self.ask("/api/machines", admin=admin), (409, {"error": NO_MACHINES}))
