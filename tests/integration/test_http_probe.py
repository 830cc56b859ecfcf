"""Http1Probe's suite against the frontend, where it lies beside the checkout."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import ROOT, World, wait_until

PROBES = [base / "shared" / "tools" / "http11probe.py" for base in ROOT.parents]


class HttpProbeTests(SynchronousTestCase):
    def test_every_scored_case(self) -> None:
        found = [probe for probe in PROBES if probe.exists()]
        if not found:
            raise SkipTest("http11probe.py is not beside this checkout")
        world = World()
        self.addCleanup(world.close)
        server = world.start("server", [sys.executable, "-m", "tests.integration.probe_server"])
        port = wait_until(
            lambda: [line for line in server.output.splitlines() if line.isdigit()],
            "the server listens",
        )[0]
        suite = subprocess.run(
            [sys.executable, str(found[0]), "127.0.0.1", port],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        self.assertIn("scored 136/136", suite.stdout)
        self.assertNotIn("Traceback", server.output)
