"""Descriptors are kept for guests."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.fd_limits import RESERVE, client_limit
from tests.rigs.paths import ROOT


class DescriptorsTests(SynchronousTestCase):
    def test_for_clients(self) -> None:
        """A quarter is reserved, but not more than the reserve; less if less is asked for."""
        for limit, asked, room in (
            (1000, 0, 750),
            (1000, 100, 100),
            (1000, 900, 750),
            (1 << 20, 0, (1 << 20) - RESERVE),
            (0, 0, 0),
            (0, 7, 7),
        ):
            self.assertEqual(client_limit(limit, asked), room, (limit, asked))

    def test_raise_limit(self) -> None:
        """The soft limit becomes the hard one."""
        program = (
            "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (100, 200));"
            "from subproxy.process.fd_limits import raise_limit;"
            "print(raise_limit(), r.getrlimit(r.RLIMIT_NOFILE))"
        )
        said = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        self.assertEqual(said, "200 (200, 200)\n")
