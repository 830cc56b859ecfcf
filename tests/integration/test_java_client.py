"""
java.net.http as it is by default, which offers HTTP/2 by an Upgrade with every request in clear
text, and by ALPN over TLS.

What it sends is recorded in C{tests/frontend/http1/test_upgrade.py}, so that this is tested where
there is no Java as well.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.harness import World
from tests.integration.tls_case import TlsCase

SOURCE = Path(__file__).parent / "PostClient.java"
DEADLINE = 60.0


BODIES = (5, 5, 65_536, 300_000, 300_000)


def expected(version: str) -> list[str]:
    """One after the other, then 20 at once."""
    one = [f"200 {version} {size} true" for size in BODIES]
    return [*one, *[f"200 {version} 5 true"] * 20]


def skip_without_java() -> None:
    if shutil.which("java") is None or shutil.which("javac") is None:
        raise SkipTest("no JDK is installed: apt install default-jdk-headless, 11 or newer")


def posted(*arguments: str) -> list[str]:
    """What the client got for each body: status, version, length, whether it came back."""
    client = subprocess.run(
        ["java", str(SOURCE), *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    if (client.returncode, client.stderr) != (0, ""):
        raise AssertionError(f"{client.returncode}\n{client.stderr}")
    return client.stdout.splitlines()


class JavaClientTests(SynchronousTestCase):
    """Lengths known and not, within a frame and beyond, one after the other and all at once."""

    def setUp(self) -> None:
        skip_without_java()
        self.world = World()
        self.addCleanup(self.world.close)

    def posted(self, *options: str) -> list[str]:
        self.world.start_proxy(*options)
        self.world.start_guest("echo:Echo", "--host=.*", "--path=/.*")
        return posted(f"http://127.0.0.1:{self.world.port}/echo")

    def test_posts_of_each_kind(self) -> None:
        self.assertEqual(self.posted(), expected("HTTP_1_1"))

    def test_posts_on_the_python_path(self) -> None:
        self.assertEqual(self.posted("--no-fastpath"), expected("HTTP_1_1"))


class JavaTlsClientTests(TlsCase):
    """The same over TLS, where it speaks HTTP/2."""

    skip = unavailable()

    def test_posts_over_http2(self) -> None:
        skip_without_java()
        self.serve("--keepalive-requests=20", application=None)
        self.world.start_guest("echo:Echo", "--host=.*", "--path=/.*")
        url = f"https://127.0.0.1:{self.https}/echo"
        self.assertEqual(posted(url, str(self.ca)), expected("HTTP_2"))
        self.assertNotIn("Traceback", self.proxy.output)
