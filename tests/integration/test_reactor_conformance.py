"""Twisted's own tests: what passes on its epoll reactor passes on ours.

Three minutes on two cores. SUBPROXY_CONFORMANCE=0 leaves it out. Where it runs under a
sanitizer, as asan.sh has it, ours do; Twisted's list is made without.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

from subproxy.reactor import compiled_epoll, unavailable
from tests.integration.reactor_conformance import REACTORS, SKIPPED, specific

EPOLL = "twisted.internet.epollreactor.EPollReactor"
ROOT = Path(__file__).resolve().parents[2]
# Seconds for everything; a hung run ignores SIGTERM and is killed.
LIMIT = float(os.environ.get("SUBPROXY_CONFORMANCE_LIMIT", "330"))
SANITIZER = ("LD_PRELOAD", "PYTHONMALLOC", "ASAN_OPTIONS")  # what asan.sh sets

# What is tested on each reactor, in processes of their own, side by side.
SUITES = {
    "internet": ["twisted.internet.test"],
    "modules": [
        "twisted.protocols.test.test_tls",
        "twisted.test.test_amp",
        "twisted.test.test_ftp",
        "twisted.test.test_internet",
        "twisted.test.test_loopback",
        "twisted.test.test_policies",
        "twisted.test.test_process",
        "twisted.test.test_ssl",
        "twisted.test.test_sslverify",
        "twisted.test.test_stdio",
        "twisted.test.test_task",
        "twisted.test.test_tcp",
        "twisted.test.test_tcp_internals",
        "twisted.test.test_threads",
        "twisted.test.test_udp",
        "twisted.test.test_unix",
        "twisted.web.test.test_newclient",
        "twisted.web.test.test_webclient",
        "twisted.web.test.test_wsgi",
    ],
}

# At least so many pass, or the suites were not found.
EXPECTED = {"internet": 600, "modules": 800}


class ConformanceTests(TestCase):
    """The lists of Twisted's reactor and of ours, compared."""

    timeout = LIMIT + 60

    def setUp(self) -> None:
        reasons = (unavailable(), compiled_epoll.unavailable())
        self.reactors = [
            reactor for reactor, why in zip(REACTORS, reasons, strict=True) if why is None
        ]
        if not self.reactors:
            raise SkipTest(f"{reasons}")
        if os.environ.get("SUBPROXY_CONFORMANCE") == "0":
            raise SkipTest("SUBPROXY_CONFORMANCE is 0")
        self.directory = Path(self.mktemp()).resolve()
        self.directory.mkdir(parents=True)

    def begin(self, reactor: str, name: str, tests: list[str]) -> subprocess.Popen[bytes]:
        out = self.directory / f"{name}-{reactor.rpartition('.')[2]}.json"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if reactor == EPOLL:
            for variable in SANITIZER:
                environment.pop(variable, None)
        with out.with_suffix(".txt").open("wb") as file:
            process = subprocess.Popen(
                [
                    *("timeout", "-k", "5", str(LIMIT), sys.executable, "-W", "ignore"),
                    *("-m", "tests.integration.reactor_conformance", reactor, str(out), *tests),
                ],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def read(self, reactor: str, name: str) -> dict[str, list[str]]:
        out = self.directory / f"{name}-{reactor.rpartition('.')[2]}.json"
        lines = map(json.loads, out.read_text().splitlines())
        return {name: [how, why] for name, how, why in lines}

    def worse(self, reactor: str, name: str) -> dict[str, list[str]]:
        """What passes on Twisted's and doesn't on C{reactor}."""
        expected = self.read(EPOLL, name)
        got = self.read(reactor, name)
        passing = [test for test, (how, _) in expected.items() if how == "pass"]
        self.assertGreater(len(passing), EXPECTED[name])
        return {
            test: got.get(test, ["missing", "the run ended before it"])
            for test in passing
            if got.get(test, [""])[0] != "pass" and got.get(test, ["", ""])[1] not in excuses
        }

    def test_whatPassesOnEpollPassesHere(self) -> None:
        """But for the list of skips, each with its reason."""
        running = [
            self.begin(reactor, name, tests)
            for name, tests in SUITES.items()
            for reactor in (EPOLL, *self.reactors)
        ]
        for process in running:
            process.wait()
        for reactor in self.reactors:
            worse = {
                test: how for name in SUITES for test, how in self.worse(reactor, name).items()
            }
            if worse and len(worse) < 20:
                # Some of Twisted's tests wait for fixed times, too short beside
                # five others on a slow machine. Alone they have to pass.
                self.begin(reactor, "again", [specific(test, reactor) for test in worse]).wait()
                again = self.read(reactor, "again")
                worse = {test: how for test, how in worse.items() if again[test][0] != "pass"}
            self.assertEqual((reactor, worse), (reactor, {}))


excuses = set(SKIPPED.values())
