"""
Autobahn|Testsuite to applications as they are: Starlette in ASGI, websockets behind a sidecar.

Its parts 9, 12 and 13 are about sizes and compression, which the bytes of a tunnel don't know of.
Starlette plays some of compression too, which is the guest library's; of the sizes most are above
the 1 MiB that a message may have.
"""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.autobahn import CASES, COMPRESSED, FINE, PARTS, interpreter, played
from tests.integration.harness import World, free_port

SOME = COMPRESSED[::3]
"""Each takes half a minute."""


class AutobahnApplicationTests(SynchronousTestCase):
    """Each plays the same cases."""

    def setUp(self) -> None:
        interpreter()
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.start_proxy()

    def start(self, *options: str) -> None:
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        command += [r"--host=127\.0\.0\.1", *options]
        self.world.start("application", command).wait_for("registered")

    def results(self, port: int) -> dict[str, tuple[str, str]]:
        """
        How the application behaved, and how it closed, by case.

        A message, and at once a frame that breaks the protocol: whether the first is answered is a
        matter of turns. The suite calls it not strict if it isn't, and RFC 6455 allows it (7.1.7).
        """
        found = played(self.world.folder, port, "", PARTS)
        self.assertEqual(len(found), CASES)
        return {
            case: (behavior.replace("NON-STRICT", "OK"), closing)
            for case, (behavior, closing) in found.items()
        }

    def test_starlette(self) -> None:
        self.start("tests.integration.autobahn_app:app")
        found = self.results(self.world.port)
        wrong = {case: each for case, each in found.items() if not FINE.issuperset(each)}
        self.assertEqual(wrong, {})

    def test_starlette_compressed(self) -> None:
        self.start("tests.integration.autobahn_app:app")
        found = played(self.world.folder, self.world.port, "", SOME)
        self.assertEqual(len(found), len(SOME))
        wrong = {case: each for case, each in found.items() if not FINE.issuperset(each)}
        self.assertEqual(wrong, {})

    def test_websockets_behind_the_sidecar(self) -> None:
        """Whatever the program does, its clients see what they would see without us."""
        port = free_port()
        program = [sys.executable, "-m", "tests.integration.autobahn_app", str(port)]
        self.start(f"--to=http://127.0.0.1:{port}", "--", *program)
        self.assertEqual(self.results(self.world.port), self.results(port))
