"""C{subproxy-guest} of guests/go does what the sidecar in Python does: the same tests."""

from __future__ import annotations

import subprocess

from tests.integration import test_sidecar
from tests.integration.golang import built


class GoSidecar(test_sidecar.SidecarCase):
    def ours(self) -> list[str]:
        return [str(built("./cmd/subproxy-guest"))]


class GoNodeTests(GoSidecar, test_sidecar.NodeTests):
    pass


class GoSidecarLifeTests(GoSidecar, test_sidecar.LifeTests):
    pass


class GoSidecarProxyTests(GoSidecar, test_sidecar.ProxyTests):
    pass


class GoOtherServerTests(GoSidecar):
    test_idle_connections_that_are_closed = (
        test_sidecar.OtherServerTests.test_idle_connections_that_are_closed
    )
    test_usage = test_sidecar.OtherServerTests.test_usage

    def test_it_is_static(self) -> None:
        """It runs in a machine that has nothing else."""
        (program,) = self.ours()
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        self.assertIn("not a dynamic executable", done.stdout + done.stderr)
