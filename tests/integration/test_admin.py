"""The admin listener and the policy of a real proxy, asked by the real command."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli.client import AdminClient
from subproxy.wire.connection import WireConnection, limits_info
from subproxy.wire.messages import Hello, Register
from subproxy.wire.states import Role
from tests.integration import admin_client
from tests.integration.harness import ROOT, TWISTD, World, free_port, wait_until

POLICY = """
[[guest]]
identity = "path:{vsock}"
hosts = ["{host}"]
"""


class AdminTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.socket: Path | str = self.world.folder / "admin.sock"

    def command(self, *words: str) -> str:
        return admin_client.command(self.socket, *words)

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

    def fetch(self, port: int, target: str, method: str = "GET", **fields: str) -> tuple[int, str]:
        """What a browser, or anybody who has no token, gets over TCP."""
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        self.addCleanup(connection.close)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        self.assertIsNone(response.getheader("Access-Control-Allow-Origin"))
        return response.status, response.read().decode()

    def test_over_tcp(self) -> None:
        """The command has the token; pages in a browser, and who has none, get nothing."""
        port = free_port()
        token = self.world.folder / "admin.token"
        proxy = self.world.start_proxy(
            f"--admin=tcp:{port}:interface=127.0.0.1", f"--admin-token={token}"
        )
        self.assertEqual(stat.S_IMODE(token.stat().st_mode), 0o600)
        self.world.start_guest("hello:Hello", r"--host=blog\.example")
        self.socket = f"127.0.0.1:{port}"
        self.assertIn("blog", self.command(f"--admin-token={token}", "routes"))
        (member,) = json.loads(self.command(f"--admin-token={token}", "--json", "subscribers"))[
            "subscribers"
        ]
        drain = f"/api/drain/{member['id']}"
        bearer = f"Bearer {token.read_text().strip()}"
        here = f"localhost:{port}"
        for status, method, target, fields in (
            (200, "GET", "/metrics", {}),
            (200, "GET", "/healthz", {"Host": "any.example"}),
            (200, "GET", "/readyz", {}),
            (421, "GET", "/metrics", {"Host": f"evil.example:{port}"}),
            (421, "POST", drain, {"Host": "evil.example", "Authorization": bearer}),
            (401, "GET", "/api/routes", {}),
            (401, "POST", drain, {"Host": here}),
            (401, "POST", drain, {"Host": here, "Authorization": "Bearer wrong"}),
            (403, "POST", drain, {"Host": here, "Origin": "https://evil.example"}),
            (403, "POST", drain, {"Host": here, "Sec_Fetch_Site": "cross-site"}),
            (403, "OPTIONS", drain, {"Host": here, "Origin": "https://evil.example"}),
        ):
            self.assertEqual(self.fetch(port, target, method, **fields)[0], status, target)
        self.assertIn("ready", self.command(f"--admin-token={token}", "subscribers"))
        done = subprocess.run(
            [sys.executable, "-m", "subproxy", f"--admin={self.socket}", "--admin-token=/x", "top"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        self.assertEqual(done.returncode, 1)
        self.assertIn("a token is needed", done.stderr)
        self.command(f"--admin-token={token}", "drain", member["id"])
        self.assertIn("draining", self.command(f"--admin-token={token}", "subscribers"))
        proxy.wait_for("the token is wrong")
        proxy.wait_for(time.strftime("/%Y:", time.gmtime()))
        self.assertNotIn("1970", proxy.output)

    def test_a_token_that_everybody_may_read(self) -> None:
        """It ends the program at its start."""
        token = self.world.folder / "admin.token"
        token.write_text("0123456789abcdef\n")
        token.chmod(0o644)
        line = [*TWISTD, "-n", "--pidfile=", "subproxy", "--admin=tcp:0", f"--admin-token={token}"]
        process = self.world.start("bad", [*line, "--http=tcp:0", "--vsock=/tmp/x"])
        self.assertEqual(process.wait(), 1)
        process.wait_for(f"subproxy: --admin-token: {token}: everybody may read")

    def test_names_that_steer_a_terminal(self) -> None:
        """A guest's names are printable in the log, the command's tables and the metrics."""
        proxy = self.world.start_proxy(f"--admin={self.socket}")
        evil = b"\x1b]0;x\x07\x1b[2Jforged\r\nline\x9b0m\xe2\x80\xae"
        wire = WireConnection(Role.GUEST)
        info = {**limits_info(wire.limits), b"application": evil, b"instance": evil}
        wire.send(Hello({**info, b"agent": evil}))
        wire.send(Register(1, rb"blog\.example", b"/.*"))
        wire.send(Register(2, b"(" + evil, b"/" + evil))
        with socket.socket(socket.AF_UNIX) as guest:
            guest.connect(f"{self.world.vsock}_12345")
            guest.sendall(wire.data_to_send())
            proxy.wait_for("may not serve")
            told = [self.command(*words) for words in (["routes"], ["subscribers"])]
            told.append(self.command("explain", "http://blog.example/"))
            told.append(self.command("--json", "subscribers"))
            asking = AdminClient(str(self.socket))._connection()
            self.addCleanup(asking.close)
            asking.request("GET", "/metrics")
            told.append(asking.getresponse().read().decode())
        for text in (*told, proxy.log.read_bytes().decode("latin-1")):
            self.assertEqual([each for each in text if not " " <= each <= "~" and each != "\n"], [])
            self.assertNotIn("\nline", text)
        proxy.wait_for(r"\x1b[2Jforged\x0d\x0aline")

    def test_no_place_for_a_token(self) -> None:
        """Without one the open pages are served, and nothing else."""
        port = free_port()
        home = self.world.folder / "file"
        home.write_text("")
        places = {"XDG_RUNTIME_DIR": str(home), "HOME": str(home), "XDG_STATE_HOME": str(home)}
        program = (
            "import os, sys\n"
            "os.geteuid = lambda: 65534\n"
            "from twisted.scripts.twistd import run\n"
            "run()\n"
        )
        command = [sys.executable, "-c", program, "-n", "--pidfile=", "subproxy", "--http=tcp:0"]
        options = [f"--admin=tcp:{port}:interface=127.0.0.1", f"--vsock={self.world.vsock}"]
        proxy = self.world.start("proxy", [*command, *options], **places)
        proxy.wait_for("admin on")
        proxy.wait_for("no token: over TCP the admin listener has open pages only")
        self.assertEqual(self.fetch(port, "/metrics")[0], 200)
        self.assertEqual(self.fetch(port, "/api/routes", Authorization="Bearer None")[0], 401)

    def test_the_log_of_a_daemon(self) -> None:
        """Its access log is 0640, at the start and after a rotation."""
        folder = self.world.folder
        log, pidfile = folder / "access.log", folder / "pid"
        command = [*TWISTD, f"--pidfile={pidfile}", f"--logfile={folder / 'log'}", "subproxy"]
        started = self.world.start(
            "daemon",
            [*command, "--http=tcp:0", f"--vsock={self.world.vsock}", f"--access-log={log}"],
        )
        self.assertEqual(started.wait(), 0, started.output)
        pid = int(wait_until(lambda: pidfile.exists() and pidfile.read_text(), "it runs"))
        try:
            self.assertEqual(stat.S_IMODE(log.stat().st_mode), 0o640)
            log.rename(folder / "old")
            os.kill(pid, signal.SIGUSR1)
            wait_until(log.exists, "a new file")
            self.assertEqual(stat.S_IMODE(log.stat().st_mode), 0o640)
        finally:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not pidfile.exists(), "it ends")

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
        guest.wait_for("this virtual machine may claim other.example")
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

    def test_configuration(self) -> None:
        """The file decides, a reload changes what it can, and a wrong one changes nothing."""
        path = self.world.folder / "subproxy.toml"
        policy = POLICY.format(vsock=self.world.vsock, host="blog.example")
        path.write_text(f"[admin]\nlisten = '{self.socket}'\n[guests]\nhold = 0\n{policy}")
        for options in ((), ("--no-fastpath",)):
            with self.subTest(options=options):
                proxy = self.world.start_proxy(f"--config={path}", *options)
                proxy.wait_for("admin on")
                guest = self.world.start_guest("hello:Hello", r"--host=blog\.example")
                self.assertEqual(self.world.ask()[0], 200)
                good = path.read_text()
                path.write_text("[limits]\nmax-target = 4\n" + good)
                asked = HTTPConnection("127.0.0.1", self.world.port, timeout=10)
                self.addCleanup(asked.close)
                for target, status in (("/12345", 200), ("/12345", 414), ("/", 200)):
                    asked.request("GET", target, headers={"Host": "blog.example"})
                    response = asked.getresponse()
                    response.read()
                    self.assertEqual(response.status, status, target)
                    if status == 200 and target != "/":
                        self.assertEqual(self.command("reload"), "in force: limits.max-target\n")
                path.write_text("[limits]\nmax-targets = 3\n" + good.replace("blog", "other"))
                done = subprocess.run(
                    [sys.executable, "-m", "subproxy", f"--admin={self.socket}", "reload"],
                    capture_output=True,
                    text=True,
                    check=False,
                    cwd=ROOT,
                )
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                problem = f"{path}:2:1: unknown key 'max-targets' in [limits]; did you mean"
                self.assertTrue(done.stderr.startswith(f"subproxy: {problem} 'max-target'?"))
                self.assertEqual(self.world.ask()[0], 200)
                path.write_text(good.replace("blog", "other"))
                proxy.signal(signal.SIGHUP)
                wait_until(lambda: self.world.ask()[0] in (404, 503), "the route is gone")
                path.write_text(good)
                guest.end()
                proxy.end()

    def test_no_policy_is_told(self) -> None:
        """One line at the start says that any guest may claim anything."""
        proxy = self.world.start_proxy()
        proxy.wait_for("no policy is in force")
        self.assertEqual(proxy.output.count("no policy is in force"), 1)

    def test_a_bad_policy_at_the_start(self) -> None:
        """It ends the program, with the line of each problem."""
        policy = Path(self.world.folder / "policy.toml")
        policy.write_text("[[guest]]\nroutes = 0\n")
        process = self.world.start(
            "bad", [*TWISTD, "-n", "--pidfile=", "subproxy", f"--policy={policy}", "--vsock=/tmp/x"]
        )
        self.assertEqual(process.wait(), 1)
        self.assertNotIn("Traceback", process.output)
        process.wait_for(f"{policy}:2: ")
