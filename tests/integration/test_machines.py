"""
Machines on demand, which are processes here: a request starts one, and waits for it.

Real proxies, clients and signals; what a VMM does instead is in C{test_vm_...}.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration import admin_client
from tests.integration.harness import Process, World, wait_until
from tests.integration.successors import alive

GUEST = Path(__file__).parent / "machine_guest.py"
GREETING = b"hello, world\n"
REQUEST = b"GET %b HTTP/1.1\r\nHost: blog.example\r\nConnection: close\r\n\r\n"


class MachineCase(SynchronousTestCase):
    """A proxy with one machine."""

    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.folder = self.world.folder
        self.run_folder = self.folder / "run"
        self.starts_file = self.folder / "starts"
        self.access_log = self.folder / "access.log"

    def quick(self, concurrency: int = 0) -> list[str]:
        """The command of a guest that starts quickly."""
        return [sys.executable, str(GUEST), "{listener}", "blog\\.example", str(concurrency)]

    def library(self, application: str) -> list[str]:
        """That of one that comes back when its connection is gone."""
        program = [sys.executable, "-m", "guest", "--proxy=unix:{listener}"]
        return [*program, "--host=blog\\.example", application]

    def start(self, command: list[str], *options: str, sites: str = "", **keys: Any) -> Process:
        values = {
            "name": "blog",
            "vmm": "process",
            "hosts": "blog.example",
            "command": command,
            "idle": False,
            **keys,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        environment = f'environment = {{ MACHINE_GUEST = "{self.folder}" }}'
        path = self.folder / "subproxy.toml"
        path.write_text("\n".join([sites, "[[machine]]", *lines, environment, ""]))
        proxy = self.world.start_proxy(
            f"--config={path}",
            f"--machines-folder={self.run_folder}",
            f"--admin={self.folder / 'admin'}",
            f"--access-log={self.access_log}",
            "--access-log-format=json",
            *options,
        )
        wait_until(lambda: "worker 0 serves" in proxy.whole_lines, "a worker to serve")
        return proxy

    def pids(self) -> list[int]:
        """The processes of all starts so far."""
        try:
            return [int(line) for line in self.starts_file.read_text().splitlines()]
        except FileNotFoundError:
            return []

    def begin(self, path: str = "/") -> socket.socket:
        """A request whose answer is not read yet."""
        client = socket.create_connection(("127.0.0.1", self.world.port), 30)
        self.addCleanup(client.close)
        client.sendall(REQUEST % path.encode())
        return client

    def answer(self, client: socket.socket) -> bytes:
        """All of the answer to it."""
        return b"".join(iter(lambda: client.recv(65536), b""))

    def command(self, *words: str) -> str:
        """What C{subproxy} says."""
        return admin_client.command(self.folder / "admin", *words)

    def logged(self, text: str) -> bool:
        assert self.world.proxy is not None
        return re.search(text, self.world.proxy.whole_lines) is not None

    def wait_for(self, text: str) -> None:
        wait_until(lambda: self.logged(text), text)


class StartTests(MachineCase):
    def test_many_wait(self) -> None:
        """One start answers all; who leaves meanwhile keeps nobody from it."""
        self.start(self.quick())
        url = "http://blog.example/"
        self.assertIn("would start the machine blog", self.command("explain", url))
        self.assertEqual(self.pids(), [])
        clients = [self.begin(f"/{number}") for number in range(100)]
        clients.pop().close()
        for client in clients:
            self.assertIn(GREETING, self.answer(client))
        self.assertEqual(len(self.pids()), 1)
        self.assertEqual(self.world.ask()[0], 200)
        said = self.command("machines")
        self.assertRegex(
            said,
            r"blog \(0\), seconds of its start: decide 0\.\d+, spawn 0\.\d+, init \d+\.\d+, "
            r"register \d+\.\d+, first byte 0\.\d+\n",
        )
        wait_until(lambda: self.access_log.read_text().count("\n") == 101, "the log")
        lines = [json.loads(line) for line in self.access_log.read_text().splitlines()]
        woke = [line["wake"] for line in lines if line["target"].startswith("/0")]
        self.assertTrue(woke and woke[0] > 0.0)
        self.assertEqual(lines[-1]["wake"], 0.0)

    def test_until_it_is_idle(self) -> None:
        """It stays while a request is under way; then it is stopped, and started anew."""
        # Longer than a worker needs to tell what is under way, four times a second.
        proxy = self.start(self.quick(), idle=2)
        held = self.begin("/held")
        wait_until(self.pids, "a start")
        self.wait_for(r"is up")
        self.assertEqual(self.world.ask()[0], 200)
        up = re.compile(r"blog \(0\) +up ")
        wait_until(lambda: up.search(self.command("machines")), "it to be used")
        self.assertFalse(self.logged("is told to end"))
        (self.folder / "released").touch()
        self.assertIn(GREETING, self.answer(held))
        self.wait_for(r"\(0\) is told to end: it was idle")
        [pid] = self.pids()
        wait_until(lambda: not alive(pid), "its end")
        self.wait_for(r"vsock', 12345\) closed")
        left = sorted(each.name for each in (self.run_folder / "blog" / "0").iterdir())
        self.assertEqual(left, ["console.log"])
        self.assertEqual(self.world.ask()[0], 200)
        self.assertEqual(len(self.pids()), 2)
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        self.assertFalse(alive(self.pids()[-1]))

    def test_what_does_not_wake(self) -> None:
        """Who may not ask, and what is said not to: neither starts anything."""
        sites = (
            '[[site]]\nhosts = "blog.example"\nwake = ["GET"]\n'
            '[[site]]\nhosts = "blog.example"\npaths = "/private"\nnetworks = "10.0.0.0/8"\n'
        )
        self.start(self.quick(), sites=sites)
        self.assertEqual(self.world.ask("/private")[0], 403)
        self.assertEqual(self.world.ask(method="DELETE")[0], 503)
        self.assertEqual(self.pids(), [])
        self.assertEqual(self.world.ask()[0], 200)
        self.assertEqual(self.world.ask(method="DELETE")[0], 200)

    def test_more_of_them(self) -> None:
        """Another instance is started while requests wait, and ends when one is enough."""
        self.start(self.quick(concurrency=1), most=2, idle=1, **{"scale-after": 0.1})
        held = [self.begin(f"/held{number}") for number in range(2)]
        self.wait_for(r"\(1\) is up")
        (self.folder / "released").touch()
        for each in held:
            self.assertIn(GREETING, self.answer(each))
        self.wait_for(r"\(1\) has ended")
        self.assertEqual(len(self.pids()), 2)


class ConsoleTests(MachineCase):
    def test_bounded(self) -> None:
        """However much it prints, two files are kept; who follows reads on over a rotation."""
        script = 'seq -f "line %g" $(cat "$MACHINE_GUEST/lines"); exec "$@"'
        lines = self.folder / "lines"
        lines.write_text("9999")
        self.start(["/bin/sh", "-c", script, "sh", *self.quick()], console=16384)
        self.assertEqual(self.world.ask()[0], 200)
        folder = self.run_folder / "blog" / "0"
        wait_until(lambda: "line 9999" in (folder / "console.log").read_text(), "the last line")
        for name in ("console.log", "console.log.1"):
            self.assertLessEqual((folder / name).stat().st_size, 16384)
        before = (folder / "console.log").read_text()
        self.assertEqual(self.command("machines", "logs", "blog"), before)
        program = [sys.executable, "-m", "subproxy", f"--admin={self.folder / 'admin'}"]
        follower = Process(
            "follower", self.folder, [*program, "machines", "logs", "--follow", "blog"]
        )
        self.addCleanup(follower.end)
        follower.wait_for("line 9999")
        lines.write_text("999")
        self.command("machines", "restart", "blog")
        follower.wait_for("\nline 999\n")
        after = "".join(f"line {number}\n" for number in range(1, 1000))
        self.assertEqual(follower.output, before + after)


class RestoredTests(MachineCase):
    def test_an_instance_of_before(self) -> None:
        """A machine that is started again may be any instance: none is refused as replaced."""
        self.start(self.quick(), **{"start-timeout": 10})
        for number, name in enumerate(("one", "two", "one"), 1):
            (self.folder / "instance").write_text(name)
            self.assertEqual(self.world.ask()[0], 200, name)
            self.command("machines", "stop", "blog")
            ended = r"(?s)" + r".*".join([r"machine blog \(0\) has ended"] * number)
            self.wait_for(ended)
        self.assertFalse(self.logged("refused"))


class FailureTests(MachineCase):
    def test_crash_on_boot(self) -> None:
        """503 after the third failure, then at once; the log has the reason and the console."""
        script = 'echo >>"$MACHINE_GUEST/starts" $$; echo no application; exit 3'
        self.start(["/bin/sh", "-c", script])
        status, fields, _ = self.world.ask(timeout=30)
        self.assertEqual(status, 503)
        self.assertIn("retry-after", fields)
        self.assertEqual(len(self.pids()), 3)
        self.assertTrue(self.logged(r"has failed: ended with status 3"))
        self.assertTrue(self.logged(r"machine blog \(0\): no application"))
        wait_until(lambda: "machine-down" in self.access_log.read_text(), "the log")

    def test_no_such_program(self) -> None:
        """The reason is told; nothing is left."""
        self.start(["/nowhere/guest"])
        self.assertEqual(self.world.ask(timeout=30)[0], 503)
        self.assertTrue(self.logged(r"has failed: /nowhere/guest: no such program"))

    def test_killed(self) -> None:
        """A request after that starts another one."""
        self.start(self.quick())
        self.assertEqual(self.world.ask()[0], 200)
        [pid] = self.pids()
        os.kill(pid, signal.SIGKILL)
        self.wait_for(r"has ended: killed by SIGKILL")
        self.assertEqual(self.world.ask()[0], 200)
        self.assertEqual(len(self.pids()), 2)

    def test_proxy_killed(self) -> None:
        """Its machines end with it; the next one starts them anew, and none twice."""
        proxy = self.start(self.quick())
        self.assertEqual(self.world.ask()[0], 200)
        [pid] = self.pids()
        proxy.signal(signal.SIGKILL)
        proxy.wait()
        wait_until(lambda: not alive(pid), "the end of what it has started")
        self.start(self.quick())
        self.assertEqual(self.world.ask()[0], 200)
        self.assertEqual(len(self.pids()), 2)


class HandOverTests(MachineCase):
    def test_next_program(self) -> None:
        """A machine runs on, is served by the next workers, and is stopped by the next parent."""
        proxy = self.start(self.library("hello:Hello"), "--workers=2")
        self.assertEqual(self.world.ask()[0], 200)
        running = self.run_folder / "blog" / "0.running"
        wait_until(running.exists, "a record")
        pid = json.loads(running.read_text())["pid"]
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for("has taken over")
        self.assertEqual(self.world.ask()[0], 200)
        self.assertTrue(alive(pid))
        self.assertFalse(self.logged(r"has failed|has ended: k"))
        os.kill(pid, signal.SIGKILL)
        self.wait_for(r"machine blog \(0\) has ended")
        self.assertEqual(self.world.ask()[0], 200)
        self.assertNotEqual(json.loads(running.read_text())["pid"], pid)


class TemplateTests(MachineCase):
    def test_a_machine_a_name(self) -> None:
        """Each name of one label has a machine; of as many as may run an idle one makes room."""
        command = [sys.executable, str(GUEST), "{listener}", "{1}\\.dev\\.example", "0"]
        proxy = self.start(command, "--most-in-all=1", name="dev-{1}", hosts="*.dev.example")
        self.assertEqual(self.world.ask(host="a.dev.example")[0], 200)
        self.assertEqual(self.world.ask(host="a.b.dev.example")[0], 404)
        self.assertEqual(self.world.ask(host="b.dev.example")[0], 200)
        self.assertTrue(self.logged(r"dev-a \(0\) is told to end: another machine needs its place"))
        self.assertIn("dev-b (0)", self.command("machines"))
        proxy.signal(signal.SIGHUP)
        self.wait_for(r"is in force")
        self.assertEqual(self.world.ask(host="b.dev.example")[0], 200)
        self.assertEqual(len(self.pids()), 2)


class ChangesTests(MachineCase):
    def run_proxy(self) -> Process:
        proxy = self.world.start_proxy(
            f"--machine-files={self.folder / 'made'}",
            f"--machines-folder={self.run_folder}",
            f"--admin={self.folder / 'admin'}",
        )
        wait_until(lambda: "worker 0 serves" in proxy.whole_lines, "a worker to serve")
        return proxy

    def test_made(self) -> None:
        """Made while it runs, kept over a restart, changed, removed; a broken file is left out."""
        proxy = self.run_proxy()
        self.assertEqual(self.world.ask()[0], 404)
        file = self.folder / "blog.toml"
        values = {"name": "blog", "vmm": "process", "hosts": "blog.example", "idle": False}
        lines = [f"{key} = {json.dumps(each)}" for key, each in values.items()]
        lines.append(f"command = {json.dumps(self.library('hello:Hello'))}")
        environment = f'environment = {{ MACHINE_GUEST = "{self.folder}" }}'
        file.write_text("\n".join(["[[machine]]", *lines, environment, ""]))
        self.assertIn("blog: is declared", self.command("machines", "add", str(file)))
        self.assertEqual(self.world.ask()[0], 200)
        with self.assertRaises(AssertionError) as refused:
            self.command("machines", "add", str(file))
        self.assertIn("there is a machine 'blog' already", str(refused.exception))
        proxy.signal(signal.SIGTERM)
        self.assertEqual(proxy.wait(), 0)
        (self.folder / "made" / "bad.toml").write_text("[[machine]]\n")
        proxy = self.run_proxy()
        self.assertTrue(self.logged(r"a machine is left out: .*bad\.toml:1:1: the machine has no"))
        self.assertEqual(self.world.ask()[0], 200)
        file.write_text(file.read_text().replace("environment = {", 'environment = { MORE = "1",'))
        self.command("machines", "change", str(file))
        self.wait_for(r"is told to end: what is declared of it has changed")
        self.assertEqual(self.world.ask()[0], 200)
        proxy.signal(signal.SIGUSR2)
        proxy.wait_for("has taken over")
        self.assertEqual(self.world.ask()[0], 200)
        self.command("machines", "remove", "blog")
        wait_until(lambda: self.world.ask()[0] == 404, "a route to be gone")
        self.wait_for(r"machine blog \(0\) is told to end: it was stopped")
        self.wait_for(r"machine blog \(0\) has ended")


class ReloadTests(MachineCase):
    def test_replaced(self) -> None:
        """What runs by something else than is declared is replaced; what is gone ends."""
        proxy = self.start(self.quick())
        self.assertEqual(self.world.ask()[0], 200)
        path = self.folder / "subproxy.toml"
        text = path.read_text()
        path.write_text(text.replace("environment = {", 'environment = { MORE = "1",'))
        proxy.signal(signal.SIGHUP)
        self.wait_for(r"is told to end: what is declared of it has changed")
        self.assertEqual(self.world.ask()[0], 200)
        self.assertEqual(len(self.pids()), 2)
        path.write_text("")
        proxy.signal(signal.SIGHUP)
        self.wait_for(r"is told to end: it was stopped")
        wait_until(lambda: not alive(self.pids()[-1]), "its end")
        wait_until(lambda: self.world.ask()[0] == 404, "a route to be gone")
