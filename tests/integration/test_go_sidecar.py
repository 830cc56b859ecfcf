"""C{subproxy-guest} of guests/go does what the sidecar in Python does: the same tests."""

from __future__ import annotations

import subprocess

from tests.integration import test_sidecar
from tests.integration.bodies_app import content
from tests.integration.bodies_case import MB
from tests.integration.golang import built
from tests.integration.test_go_guest import tunnel


class GoSidecar(test_sidecar.SidecarCase):
    def ours(self) -> list[str]:
        return [str(built("./cmd/subproxy-guest"))]


class GoNodeTests(GoSidecar, test_sidecar.NodeCase):
    def test_all_of_it(self) -> None:
        self.all_of_it()


class GoNodeAddressTests(GoSidecar, test_sidecar.NodeAddressTests):
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

    def test_upgrades_pass(self) -> None:
        """A program that changes the protocol: its bytes go both ways, each half with its end."""
        program = [str(built("./internal/battery")), "--listen", f"127.0.0.1:{self.port}"]
        self.sidecar("--", *program)
        said = tunnel(self.world.port, self.host, b"/upgrade")
        self.assertTrue(said.startswith(b"HTTP/1.1 101 "), said[:500])
        self.assertTrue(said.partition(b"\r\n\r\n")[2] == b"welcome\n" + content(MB))
        said = tunnel(self.world.port, self.host, b"/upgrade/no")
        self.assertTrue(said.startswith(b"HTTP/1.1 403 "), said)

    def test_it_is_static(self) -> None:
        """It runs in a machine that has nothing else."""
        (program,) = self.ours()
        done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
        self.assertIn("not a dynamic executable", done.stdout + done.stderr)
