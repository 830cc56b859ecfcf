"""What the command line cannot mean: one line each, and no proxy."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import TWISTD, World


class BadOptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)

    number = 0

    def complaint(self, *options: str) -> str:
        self.number += 1
        process = self.world.start(
            f"proxy{self.number}", [*TWISTD, "-n", "--pidfile=", "subproxy", *options]
        )
        self.assertEqual(process.wait(), 1, process.output)
        self.assertNotIn("Traceback", process.output)
        return process.output

    def test_one_line(self) -> None:
        """A bad option is one clear line, and exit status 1."""
        vsock = f"--vsock={self.world.vsock}"
        for options in (
            (vsock, "--http=nonsense"),
            (vsock, "--http=99999"),
            (vsock, "--http=tcp:nonsense"),
            (vsock, "--balance=best"),
            (vsock, "--vsock-mode=9"),
            (vsock, "--ping-interval=soon"),
            (vsock, "--header-timeout=x"),
            (vsock, "--unknown"),
            ("--vsock=/tmp/*/x.sock",),
        ):
            output = self.complaint(*options)
            self.assertEqual(output.count("\n"), 1, output)
            self.assertTrue(output.startswith("subproxy: "), output)

    def test_port_in_use(self) -> None:
        """What cannot be listened on ends the program with one line that says so."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            output = self.complaint(
                f"--http=tcp:{port}:interface=127.0.0.1", f"--vsock={self.world.vsock}"
            )
        self.assertIn(f"subproxy: cannot listen for HTTP on tcp:{port}", output)
