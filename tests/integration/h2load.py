"""nghttp2's C{h2load}, again and again: it counts what failed, and repeats nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from unittest import SkipTest

from tests.integration.tls_case import HOST, TlsCase

COUNTS = re.compile(
    r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded,"
    r" (\d+) failed, (\d+) errored, (\d+) timeout"
)
GIVEN_UP = 100.0


class H2Load:
    """
    Runs it over TLS until it is told to stop; the last run comes to its end.

    @param options: how many requests a run has, and on how many connections.
    @ivar failed: what each run said in which a request did.
    @ivar served: how many went well.
    @ivar runs: how often it ran; each connects anew.
    """

    def __init__(self, case: TlsCase, *options: str) -> None:
        program = shutil.which("h2load")
        if program is None:
            raise SkipTest("wants nghttp2-client")
        self.failed: list[str] = []
        self.served = 0
        self.runs = 0
        self._command = [
            *(program, *options),
            f"--connect-to=127.0.0.1:{case.https}",
            f"https://{HOST}/",
        ]
        self._stop = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop:
            try:
                done = subprocess.run(
                    self._command, capture_output=True, text=True, timeout=GIVEN_UP, check=False
                )
            except subprocess.TimeoutExpired as error:
                self.failed.append(repr(error))
                return
            self.runs += 1
            found = COUNTS.search(done.stdout)
            if found is None:
                self.failed.append(done.stdout + done.stderr)
                continue
            total, _, _, succeeded, *lost = map(int, found.groups())
            self.served += succeeded
            good = re.search(rf"status codes: {total} 2xx", done.stdout)
            if succeeded != total or any(lost) or not good:
                self.failed.append(done.stdout)

    def stop(self) -> None:
        """Wait for the last run."""
        self._stop = True
        self._thread.join()
