"""
java.net.http as it is by default, which offers HTTP/2 by an Upgrade with every request.

What it sends is recorded in C{tests/frontend/http1/test_upgrade.py}, so that this is tested where
there is no Java as well.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.harness import World

SOURCE = Path(__file__).parent / "PostClient.java"
DEADLINE = 60.0


class JavaClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        if shutil.which("java") is None or shutil.which("javac") is None:
            raise SkipTest("no JDK is installed: apt install default-jdk-headless, 11 or newer")
        self.world = World()
        self.addCleanup(self.world.close)

    def posted(self, *options: str) -> list[str]:
        """What the client got for each body: status, version, length, whether it came back."""
        self.world.start_proxy(*options)
        self.world.start_guest("echo:Echo", "--host=.*", "--path=/.*")
        url = f"http://127.0.0.1:{self.world.port}/echo"
        client = subprocess.run(
            ["java", str(SOURCE), url],
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        self.assertEqual((client.returncode, client.stderr), (0, ""))
        return client.stdout.splitlines()

    def test_posts_of_each_kind(self) -> None:
        """Lengths known and not, within a frame and beyond, one after the other and all at once."""
        expected = [f"200 HTTP_1_1 {size} true" for size in (5, 5, 65_536, 300_000, 300_000)]
        self.assertEqual(self.posted(), [*expected, *["200 HTTP_1_1 5 true"] * 20])

    def test_posts_on_the_python_path(self) -> None:
        expected = [f"200 HTTP_1_1 {size} true" for size in (5, 5, 65_536, 300_000, 300_000)]
        found = self.posted("--no-fastpath")
        self.assertEqual(found, [*expected, *["200 HTTP_1_1 5 true"] * 20])
