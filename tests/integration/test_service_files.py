"""The files of the service: what systemd says of them, and what the proxy does."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import ROOT, World, wait_until

UNIT = ROOT / "examples" / "service" / "subproxy.service"
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
        unit = self.world.folder / UNIT.name
        twistd = str(Path(sys.executable).parent / "twistd")
        unit.write_text(UNIT.read_text().replace("/opt/subproxy/bin/twistd", twistd))
        done = self.analyze("verify", "--man=no", str(unit))
        ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
        self.assertEqual(ours, [])
        done = self.analyze("security", "--offline=yes", f"--threshold={MOST * 10:.0f}", str(unit))
        self.assertEqual(done.returncode, 0, done.stdout)
        overall = done.stdout.strip().splitlines()[-1]
        self.assertIn("Overall exposure level", overall)

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
