"""h2spec, strict: all of its cases, three times over."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from subproxy.fastpath.install import unavailable
from tests.integration.golang import fetched
from tests.integration.tls_case import TlsCase

MODULE = Path(__file__).parent / "h2spec"
COMMAND = "github.com/summerwind/h2spec/cmd/h2spec"
OTHER_PREFACE = "Sends invalid connection preface"
"""What is no preface of HTTP/2 is a request of HTTP/1.1 on a listener that speaks both, and is
answered so: 400, and a close. h2spec takes no answer but GOAWAY for a close."""


def h2spec() -> str:
    """Where it is."""
    return str(fetched("h2spec", COMMAND, MODULE))


class SpecTests(TlsCase):
    skip = unavailable()

    def failed(self, *options: str) -> set[str]:
        """The cases that do not pass, three times over."""
        found: set[str] = set()
        for _ in range(3):
            done = subprocess.run(
                [h2spec(), "-h", "127.0.0.1", "-S", "-o", "4", *options],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            self.assertIn("146 tests", done.stdout)
            found |= {each.strip() for each in re.findall(r"\u00d7 \d+: (.*)", done.stdout)}
        return found

    def test_clear_text(self) -> None:
        """146 cases; all but the one that can't be told from HTTP/1.1."""
        proxy = self.world.start_proxy()
        self.world.start_guest("echo:Echo", "--host=.*")
        self.assertLessEqual(self.failed("-p", str(self.world.port)), {OTHER_PREFACE})
        self.assertNotIn("Traceback", proxy.output)

    def test_over_tls(self) -> None:
        """All of them: by ALPN it is known what the client speaks."""
        self.serve()
        self.assertEqual(self.failed("-t", "-k", "-p", str(self.https)), set())
        self.assertNotIn("Traceback", self.proxy.output)
