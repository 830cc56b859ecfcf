"""h2spec, strict: all of its cases, three times over."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.harness import World

MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.6.0"
OTHER_PREFACE = "Sends invalid connection preface"
"""What is no preface of HTTP/2 is a request of HTTP/1.1 on a listener that speaks both, and is
answered so: 400, and a close. h2spec takes no answer but GOAWAY for a close."""


def h2spec() -> str:
    """Where it is; made once."""
    go = shutil.which("go") or "/usr/local/go/bin/go"
    if not os.path.exists(go):
        raise SkipTest("no Go is installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "subproxy" / "go"
    program = cache / "h2spec"
    if not program.exists():
        environment = {**os.environ, "GOBIN": str(cache), "GOFLAGS": "-mod=mod"}
        command = [go, "install", MODULE]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SkipTest(f"h2spec cannot be had: {done.stderr[-200:]}")
    return str(program)


class SpecTests(SynchronousTestCase):
    skip = unavailable()

    def test_clear_text(self) -> None:
        """146 cases; all but the one that can't be told from HTTP/1.1."""
        program = h2spec()
        world = World()
        self.addCleanup(world.close)
        proxy = world.start_proxy()
        world.start_guest("echo:Echo", "--host=.*")
        for _ in range(3):
            done = subprocess.run(
                [program, "-h", "127.0.0.1", "-p", str(world.port), "-S", "-o", "4"],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            failed = {each.strip() for each in re.findall(r"\u00d7 \d+: (.*)", done.stdout)}
            self.assertLessEqual(failed, {OTHER_PREFACE}, done.stdout[-3000:])
            self.assertIn("146 tests", done.stdout)
        self.assertNotIn("Traceback", proxy.output)
