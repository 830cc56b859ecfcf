"""
Autobahn|Testsuite through the proxy, to an application of the guest library: RFC 6455 and 7692.

All that it tells must be as it likes it, but what is informational. In frames, and over data
connections; a tunnel that moves is among the former: the cases of part 9 are long enough for that.
Of compression, where each of 216 cases has a thousand messages, a few of each kind are played.
"""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.autobahn import CASES, COMPRESSED, FINE, PARTS, interpreter, played
from tests.integration.harness import World


class AutobahnTests(SynchronousTestCase):
    def setUp(self) -> None:
        interpreter()
        self.world = World()
        self.addCleanup(self.world.close)
        self.world.start_proxy()
        command = [sys.executable, "-m", "guest", f"--proxy=unix:{self.world.vsock}_12345"]
        command += [r"--host=127\.0\.0\.1", "tests.integration.web_socket_app:Echo"]
        self.world.start("guest", command).wait_for("registered")

    def play(self, path: str, *cases: str) -> int:
        """Play these; how many they were."""
        found = played(self.world.folder, self.world.port, path, cases)
        wrong = {case: each for case, each in found.items() if not FINE.issuperset(each)}
        self.assertEqual(wrong, {})
        assert self.world.proxy is not None
        self.assertNotIn("Traceback", self.world.proxy.output)
        return len(found)

    def test_in_frames(self) -> None:
        self.assertEqual(self.play("chat", *PARTS, "9.*"), CASES + 54)

    def test_compressed(self) -> None:
        self.assertEqual(self.play("chat", *COMPRESSED), len(COMPRESSED))

    def test_over_data_connections(self) -> None:
        self.assertEqual(self.play("bulk", *PARTS), CASES)
