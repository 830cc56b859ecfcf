"""The files of the service: what systemd says of them, and what the proxy does."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import ROOT, TWISTD, World, wait_until
from tests.integration.successors import Line

UNIT = ROOT / "examples" / "service" / "subproxy.service"
SOCKET = UNIT.with_suffix(".socket")
ROTATION = ROOT / "examples" / "service" / "subproxy.logrotate"
SETS = re.compile(r"^(@[a-z-]+)\n((?:    .*\n)+)", re.M)
CALLED = re.compile(r"^\d+ +([a-z0-9_]+)\(", re.M)
FAMILY = re.compile(r"socket(?:pair)?\((AF_[A-Z0-9]+)")
MOST = 2.5
"""Exposure, of 10, up to which the unit is called OK by C{systemd-analyze security}."""


def need(name: str) -> str:
    """The path of a program, or the test is skipped."""
    found = shutil.which(name)
    if found is None:
        raise SkipTest(f"no {name}")
    return found


class ServiceFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    def analyze(self, *words: str) -> subprocess.CompletedProcess[str]:
        analyze = need("systemd-analyze")
        return subprocess.run([analyze, *words], capture_output=True, text=True, check=False)

    def setting(self, name: str) -> list[str]:
        """The words of a setting of the unit."""
        found = re.search(rf"^{name}=(.*)$", UNIT.read_text(), re.M)
        assert found is not None
        return found[1].split()

    def test_what_systemd_says(self) -> None:
        """It knows every setting, and little is exposed."""
        unit = self.unit()
        done = self.analyze("verify", "--man=no", str(unit))
        ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
        self.assertEqual(ours, [])
        done = self.analyze("security", "--offline=yes", f"--threshold={MOST * 10:.0f}", str(unit))
        self.assertEqual(done.returncode, 0, done.stdout)
        overall = done.stdout.strip().splitlines()[-1]
        self.assertIn("Overall exposure level", overall)

    def notified(self, *options: str) -> socket.socket:
        """Start a proxy; the socket where it says how it is: systemd's, as that makes it."""
        path = str(self.world.folder / "notify")
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(told.close)
        told.bind(path)
        told.settimeout(60)
        shell = 'WATCHDOG_PID=$$ exec "$@"'
        environment = ("env", f"NOTIFY_SOCKET={path}", "WATCHDOG_USEC=500000")
        self.world.start_proxy(*options, prefix=(*environment, "sh", "-c", shell, "sh"))
        return told

    def heard(self, told: socket.socket, what: bytes) -> None:
        while told.recv(100) != what:
            pass

    def check_watchdog(self, *options: str) -> None:
        """systemd hears that it is alive, also after a hand-over, while its reactor turns."""
        told = self.notified(*options)
        line = Line(self.world)
        self.addCleanup(line.end)
        self.heard(told, b"READY=1")
        for _ in range(3):
            self.heard(told, b"WATCHDOG=1")
        line.hand_over(60)
        if len(set(line.pids)) == 2:
            line.wait_for_the_old()
        told.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while told.recv(100):
                pass
        told.settimeout(60)
        for _ in range(3):
            self.heard(told, b"WATCHDOG=1")
        os.kill(line.pids[-1], signal.SIGSTOP)
        self.addCleanup(os.kill, line.pids[-1], signal.SIGCONT)
        told.settimeout(1.5)
        self.assertRaises(TimeoutError, lambda: [self.heard(told, b"WATCHDOG=1") for _ in range(9)])

    def test_watchdog(self) -> None:
        self.check_watchdog()

    def test_watchdog_of_a_parent(self) -> None:
        self.check_watchdog("--workers=2")

    def test_socket_activation(self) -> None:
        """systemd makes the port, by the unit's name of it; who comes first starts the proxy."""
        activate = need("systemd-socket-activate")
        found = re.search(r"^FileDescriptorName=(.*)$", SOCKET.read_text(), re.M)
        assert found is not None
        self.assertIn(f"name={found[1]}", SOCKET.read_text())
        world = self.world
        self.world.start(
            "proxy",
            [
                *(activate, f"--listen=127.0.0.1:{world.port}", f"--fdname={found[1]}"),
                *(*TWISTD, "-n", "--pidfile=", "subproxy", f"--vsock={world.vsock}"),
                f"--http=systemd:domain=INET:name={found[1]}",
            ],
        )
        waits = HTTPConnection("127.0.0.1", world.port, timeout=60)
        self.addCleanup(waits.close)

        def connected() -> bool:
            with contextlib.suppress(ConnectionRefusedError):
                waits.connect()
                return True
            return False

        wait_until(connected, "the port")
        world.processes[-1].wait_for("HTTP on")
        world.start_guest("hello:Hello", r"--host=blog\.example")
        waits.request("GET", "/", headers={"Host": "blog.example"})
        self.assertEqual(waits.getresponse().status, 200)
        done = self.analyze("verify", "--man=no", str(SOCKET), str(self.unit()))
        ours = [line for line in done.stderr.splitlines() if SOCKET.name in line]
        self.assertEqual(ours, [])

    def unit(self) -> Path:
        """The unit of the service, with a program that is there."""
        unit = self.world.folder / UNIT.name
        unit.write_text(UNIT.read_text().replace("/opt/subproxy/bin/twistd", TWISTD[0]))
        return unit

    def allowed(self, name: str, sets: dict[str, list[str]]) -> set[str]:
        """The system calls of a set, and of those in it."""
        found: set[str] = set()
        for each in sets[name]:
            found |= self.allowed(each, sets) if each.startswith("@") else {each}
        return found

    def test_what_the_proxy_does(self) -> None:
        """From its start to its end nothing that the unit forbids."""
        listed = self.analyze("syscall-filter").stdout
        sets = {
            name: [line.strip() for line in body.splitlines() if not line.startswith("    #")]
            for name, body in SETS.findall(listed)
        }
        (wanted,) = self.setting("SystemCallFilter")
        allowed = self.allowed(wanted, sets)
        self.assertIn("io_uring_enter", allowed)
        trace = self.world.folder / "trace"
        proxy = self.world.start_proxy(
            f"--access-log={self.world.folder / 'access.log'}",
            f"--admin={self.world.folder / 'admin.sock'}",
            prefix=(need("strace"), "-f", "-qq", "-o", str(trace)),
        )
        self.world.start_guest("hello:Hello", r"--host=blog\.example")
        self.assertEqual(self.world.ask()[0], 200)
        # strace passes it on, as it does not end itself by it.
        main = int(trace.read_text().split(maxsplit=1)[0])
        subprocess.run(["kill", "-TERM", str(main)], check=True)
        proxy.wait()
        text = trace.read_text()
        called = set(CALLED.findall(text))
        self.assertIn("execve", called)
        self.assertEqual(called - allowed, set())
        families = set(FAMILY.findall(text))
        self.assertEqual(families - {*self.setting("RestrictAddressFamilies")}, set())
        mapped = re.findall(r"^\d+ +m(?:map|protect)\(.*PROT_WRITE\|PROT_EXEC.*$", text, re.M)
        self.assertEqual(mapped, [])

    def test_rotation(self) -> None:
        """What is asked after it is in the new file, and nothing is lost."""
        logrotate = need("logrotate")
        log = self.world.folder / "access.log"
        proxy = self.world.start_proxy(f"--access-log={log}")
        self.world.start_guest("hello:Hello", r"--host=blog\.example")
        self.assertEqual(self.world.ask("/before")[0], 200)
        wait_until(lambda: "/before" in log.read_text(), "it is written")
        rule = self.world.folder / "rule"
        text = ROTATION.read_text().replace("/var/log/subproxy/access.log", str(log))
        tell = f"kill -USR1 {proxy.child.pid}"
        rule.write_text(re.sub(r"systemctl kill .*", tell, text))
        rule.chmod(0o644)
        state = self.world.folder / "state"
        subprocess.run([logrotate, "-f", "-s", str(state), str(rule)], check=True)
        wait_until(log.exists, "a new file")
        self.assertEqual(self.world.ask("/after")[0], 200)
        wait_until(lambda: "/after" in log.read_text(), "it is written")
        self.assertIn("/before", (self.world.folder / "access.log.1").read_text())
        self.assertNotIn("/before", log.read_text())
        proxy.signal(signal.SIGTERM)
