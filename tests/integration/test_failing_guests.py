"""Of two guests one fails: it gets nothing, and is asked again when it does well; on both paths."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import admin_client
from tests.integration.harness import ROOT, Process, World, wait_until
from tests.integration.successors import Line

KEPT = {("canary", 0.01, "draining"), ("good", 1.0, "ready")}


class FailingGuestTests(SynchronousTestCase):
    timeout = 180

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.socket = self.world.folder / "admin.sock"

    def command(self, *words: str) -> str:
        return admin_client.command(self.socket, *words)

    def guest(self, name: str) -> Process:
        guest = self.world.start(
            name,
            [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
            + [r"--host=blog\.example", "--name", name, "failing_app:Failing"],
            FAILING_NAME=name,
            FAILING_FILE=str(self.world.folder / f"{name}.broken"),
            PYTHONPATH=str(ROOT / "tests" / "integration"),
        )
        guest.wait_for("registered")
        return guest

    def states(self) -> dict[str, Any]:
        told = json.loads(self.command("--json", "subscribers"))["subscribers"]
        return {each["application"]: each for each in told}

    def play(self, *options: str) -> None:
        proxy = self.world.start_proxy(
            f"--admin={self.socket}",
            "--balance=round-robin",  # by two choices, who is idle and a little slower gets nothing
            "--eject-failures=2",
            "--eject-time=5",
            *options,
        )
        self.guest("good")
        bad = self.guest("bad")
        broken = self.world.folder / "bad.broken"
        broken.write_text("")
        failed = 0

        def out() -> bool:
            nonlocal failed
            failed += self.world.ask()[0] == 500
            return "bad/0 gets nothing for" in proxy.whole_lines

        wait_until(out, "it is taken out", 60)
        self.assertEqual(failed, 2)
        told = self.command("explain", "blog.example")
        if "failing" in told:  # on a busy machine it may be back already
            self.assertIn("gets nothing, since it has failed: it comes back in", told)
        broken.unlink()
        proxy.wait_for("bad/0 is used again")
        wait_until(lambda: self.world.ask()[2] == b"bad\n", "it is asked again", 60)

        # The last one is asked, however it does.
        self.command("drain", f"path:{self.world.vsock}/good")
        broken.write_text("")
        for _ in range(20):
            status, _, body = self.world.ask()
            self.assertEqual((status, body), (500, b"bad\n"))
        self.assertEqual(self.states()["bad"]["state"], "ready")
        bad.end()

    def test_compiled(self) -> None:
        self.play()

    def test_python(self) -> None:
        self.play("--no-fastpath")

    def test_weights(self) -> None:
        """A canary gets little, though it dials again."""
        self.world.start_proxy(f"--admin={self.socket}")
        self.guest("good")
        canary = self.guest("canary")
        name = f"path:{self.world.vsock}/canary"
        self.assertEqual(self.command("weight", name, "1"), f"weight 1: {name}/0\n")
        self.assertEqual(self.states()["canary"]["weight"], 0.01)
        canary.end()
        self.guest("canary")
        self.assertEqual(self.states()["canary"]["weight"], 0.01)
        self.command("weight", name)
        self.assertEqual(self.states()["canary"]["weight"], 1.0)

    def check_kept(self, *options: str) -> None:
        """A weight outlives a reload, and a hand-over; and so does a drain."""
        file = self.world.folder / "subproxy.toml"
        file.write_text("")
        self.world.start_proxy(f"--admin={self.socket}", f"--config={file}", *options)
        line = Line(self.world)
        self.addCleanup(line.end)
        self.guest("good")
        canary = self.guest("canary")
        self.command("weight", f"path:{self.world.vsock}/canary", "1")
        self.command("drain", f"path:{self.world.vsock}/canary")
        file.write_text("[guests]\nqueue = 7\n")
        self.command("reload")
        self.assertEqual(self.known(), KEPT)
        line.hand_over(60)
        wait_until(lambda: self.known() == KEPT, "both are there again", 60)
        canary.end()
        self.guest("canary")
        self.assertEqual(self.known(), KEPT)

    def known(self) -> set[tuple[str, float, str]]:
        """Weight and state of each application, in whatever worker; none while nobody answers."""
        try:
            told = json.loads(self.command("--json", "subscribers"))["subscribers"]
        except (OSError, ValueError, AssertionError):
            return set()
        return {(each["application"], each["weight"], each["state"]) for each in told}

    def test_what_was_assigned_is_kept(self) -> None:
        self.check_kept()

    def test_what_was_assigned_to_workers_is_kept(self) -> None:
        """By those that take the places of others, too."""
        self.check_kept("--workers=2")
        (worker, *_) = json.loads(self.command("--json", "top", "--count=1"))["workers"]
        os.kill(worker["pid"], signal.SIGKILL)
        assert self.world.proxy is not None
        self.world.proxy.wait_for(f"worker {worker['worker']} serves", 3)
        wait_until(lambda: self.known() == KEPT, "all are back", 60)
