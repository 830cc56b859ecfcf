"""Http1Probe's suite against the frontend, where it lies beside the checkout."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import ROOT, World, wait_until

PROBES = [base / "shared" / "tools" / "http11probe.py" for base in ROOT.parents]


class HttpProbeTests(SynchronousTestCase):
    def setUp(self) -> None:
        found = [probe for probe in PROBES if probe.exists()]
        if not found:
            raise SkipTest("http11probe.py is not beside this checkout")
        self.probe = str(found[0])
        self.world = World()
        self.addCleanup(self.world.close)

    def probed(self, port: int) -> str:
        suite = subprocess.run(
            [sys.executable, self.probe, "127.0.0.1", str(port)],
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
        return suite.stdout

    def test_every_scored_case_by_the_frontend_alone(self) -> None:
        server = self.world.start(
            "server", [sys.executable, "-m", "tests.integration.probe_server"]
        )
        port = wait_until(
            lambda: [line for line in server.output.splitlines() if line.isdigit()],
            "the server listens",
        )[0]
        self.assertIn("scored 136/136", self.probed(int(port)))
        self.assertNotIn("Traceback", server.output)

    def test_every_scored_case_with_a_guest_behind_it(self) -> None:
        proxy = self.world.start_proxy("--access-log=none")
        guest = self.world.start_guest("echo:Echo", "--host=.*", "--path=/.*")
        self.assertIn("scored 136/136", self.probed(self.world.port))
        self.assertNotIn("Traceback", proxy.output)
        self.assertNotIn("Traceback", guest.output)
