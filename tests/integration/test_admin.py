"""The admin listener and the policy of a real proxy, asked by the real command."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from .harness import ROOT, World, wait_until

POLICY = """
[[guest]]
identity = "path:{vsock}"
hosts = ["{host}"]
"""


class AdminTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.socket = self.world.folder / "admin.sock"

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "subproxy", f"--admin={self.socket}", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_operators(self) -> None:
        """Routes, explanation, drain and metrics of a proxy that serves."""
        self.world.start_proxy(f"--admin={self.socket}")
        self.assertEqual(stat.S_IMODE(os.stat(self.socket).st_mode), 0o600)
        self.world.start_guest("hello:Hello", r"--host=blog\.example")
        self.assertEqual(self.world.ask()[0], 200)
        self.assertIn("blog", self.command("routes"))
        self.assertIn("the only route that matches", self.command("explain", "http://blog.example"))
        (member,) = json.loads(self.command("--json", "subscribers"))["subscribers"]
        self.assertEqual(member["identity"], f"path:{self.world.vsock}")
        self.assertIn(member["id"], self.command("drain", member["id"]))
        self.assertIn("draining", self.command("subscribers"))
        self.command("undrain", member["id"])
        self.assertEqual(self.world.ask()[0], 200)
        from subproxy.cli.client import AdminClient

        connection = AdminClient(str(self.socket))._connection()
        self.addCleanup(connection.close)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        self.assertRegex(page, r'subproxy_requests_total\{code="200",route="blog.*"\} 2\.0')
        for name in (
            "subproxy_reactor_lag_seconds",
            "subproxy_in_flight",
            "subproxy_subscriptions",
        ):
            self.assertIn(f"\n{name} ", page)

    def test_a_killed_proxy_does_not_keep_its_socket(self) -> None:
        """A new proxy takes the admin socket of a killed one, but not of a live one."""
        proxy = self.world.start_proxy(f"--admin={self.socket}")
        proxy.signal(signal.SIGKILL)
        proxy.wait()
        self.world.start_proxy(f"--admin={self.socket}")
        self.assertEqual(self.command("routes"), "no routes: no guest has registered\n")

    def test_policy(self) -> None:
        """The policy decides; SIGHUP reads it anew; a bad one changes nothing."""
        policy = self.world.folder / "policy.toml"
        policy.write_text(POLICY.format(vsock=self.world.vsock, host="other.example"))
        proxy = self.world.start_proxy(f"--policy={policy}", "--hold=0")
        guest = self.world.start_guest("hello:Hello", r"--host=blog\.example", wait=False)
        self.assertEqual(guest.wait(), 4, guest.output)
        self.assertIn("this virtual machine may claim other.example", guest.output)
        policy.write_text(POLICY.format(vsock=self.world.vsock, host="blog.example"))
        proxy.signal(signal.SIGHUP)
        proxy.wait_for("is in force")
        guest = self.world.start_guest("hello:Hello", r"--host=blog\.example", name="second")
        self.assertEqual(self.world.ask()[0], 200)
        policy.write_text("nonsense")
        proxy.signal(signal.SIGHUP)
        proxy.wait_for("the policy stays as it was")
        self.assertEqual(self.world.ask()[0], 200)
        policy.write_text(POLICY.format(vsock=self.world.vsock, host="third.example"))
        proxy.signal(signal.SIGHUP)
        wait_until(lambda: self.world.ask()[0] in (404, 503), "the route is gone")

    def test_no_policy_is_told(self) -> None:
        """One line at the start says that any guest may claim anything."""
        proxy = self.world.start_proxy()
        self.assertEqual(proxy.output.count("no policy is in force"), 1)

    def test_a_bad_policy_at_the_start(self) -> None:
        """It ends the program, with the line of each problem."""
        from .harness import TWISTD

        policy = Path(self.world.folder / "policy.toml")
        policy.write_text("[[guest]]\nroutes = 0\n")
        process = self.world.start(
            "bad", [*TWISTD, "-n", "--pidfile=", "subproxy", f"--policy={policy}", "--vsock=/tmp/x"]
        )
        self.assertEqual(process.wait(), 1)
        self.assertNotIn("Traceback", process.output)
        self.assertIn(f"{policy}:2: ", process.output)
