"""The code in the documentation of the guest library runs."""

from __future__ import annotations

import contextlib
import io
import re
import unittest
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.cli.loading import load
from guest.cli.options import parse
from guest.core.route import Route
from guest.minimal import MESSAGES
from guest.testing import MemoryProxy
from guest.twisted.factory import SubscriberFactory
from guest.twisted.subscriber import SubscriberProtocol
from subproxy.wire.messages import BY_VERB
from tests.rigs.paths import ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str) -> list[dict[str, Any]]:
    """What each block of a page defines."""
    found = []
    for code in BLOCK.findall((DOCS / name).read_text()):
        space: dict[str, Any] = {"__name__": "documentation"}
        exec(code, space)
        found.append(space)
    return found


def memory(space: dict[str, Any], name: str) -> MemoryProxy:
    proxy = MemoryProxy(space[name])
    return proxy


class TutorialTests(SynchronousTestCase):
    """docs/tutorial/first-application.md."""

    def test_the_blog(self) -> None:
        first, second = blocks("tutorial/first-application.md")
        proxy = memory(first, "Blog")
        response = self.successResultOf(proxy.request(b"GET", b"/"))
        self.assertEqual((response.status, response.body), (200, b"Nothing written yet.\n"))
        self.assertEqual(self.successResultOf(proxy.request(b"GET", b"/x")).status, 404)
        proxy = memory(second, "Blog")
        asked = proxy.request(b"POST", b"/", [], b"First!")
        self.assertEqual(self.successResultOf(asked).status, 201)
        self.assertEqual(self.successResultOf(proxy.request(b"GET", b"/")).body, b"First!")
        asked = proxy.request(b"POST", b"/", [], bytes(10_001))
        self.assertEqual(self.successResultOf(asked).status, 413)


class HowToTests(SynchronousTestCase):
    """docs/howto/write-an-application.md."""

    def setUp(self) -> None:
        self.spaces = blocks("howto/write-an-application.md")

    def space(self, name: str) -> dict[str, Any]:
        (found,) = [space for space in self.spaces if name in space]
        return found

    def test_three_ways(self) -> None:
        proxy = memory(self.space("Three"), "Three")
        self.assertEqual(self.successResultOf(proxy.request(b"GET", b"/now")).body, b"now\n")
        later = proxy.request(b"GET", b"/deferred")
        self.assertNoResult(later)
        proxy.advance(1)
        self.assertEqual(self.successResultOf(later).body, b"a second later\n")
        counted = proxy.request(b"POST", b"/", [], b"four")
        self.assertEqual(self.successResultOf(counted).body, b"4 bytes\n")

    def test_digest(self) -> None:
        asked = memory(self.space("Digest"), "Digest").request(b"POST", b"/", [], bytes(100_000))
        self.assertEqual(len(self.successResultOf(asked).body), 65)

    def test_streams(self) -> None:
        proxy = memory(self.space("Streams"), "Streams")
        endless = proxy.begin(b"GET", b"/zeros", hold=True)
        self.assertEqual(len(endless.response.body), 65_536)
        endless.abort()
        asked = proxy.request(b"GET", b"/events")
        for _ in range(3):
            proxy.advance(1)
        body = b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        self.assertEqual(self.successResultOf(asked).body, body)

    def test_chat(self) -> None:
        proxy = memory(self.space("Chat"), "Chat")
        first, second = proxy.web_socket(b"/"), proxy.web_socket(b"/")
        first.send("hi")
        self.assertEqual((first.received, second.received), (["hi"], ["hi"]))
        first.close()
        second.send("still here")
        self.assertEqual((first.received, second.received), (["hi"], ["hi", "still here"]))

    def test_tenants(self) -> None:
        proxy = MemoryProxy(self.space("Tenants")["Tenants"], [])
        hosts = [route.host for route in proxy.proxy.routes.values()]
        self.assertEqual(hosts, [rb"anna\.example", rb"ben\.example"])

    def test_a_factory(self) -> None:
        space = self.space("CounterFactory")
        self.assertIsInstance(space["factory"], SubscriberFactory)
        factory = space["CounterFactory"](space["Counter"], "counter", [Route(b".*")])
        for expected in (b"1\n", b"2\n"):
            proxy = MemoryProxy(factory)
            self.assertEqual(self.successResultOf(proxy.request(b"GET", b"/")).body, expected)

    def test_the_test(self) -> None:
        case = self.space("HelloTests")["HelloTests"]
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
        self.assertEqual((result.testsRun, result.errors, result.failures), (1, [], []))

    def test_the_application_of_the_minimal_guest(self) -> None:
        app = self.space("app")["app"]
        self.assertEqual(app(b"GET", b"/", [], io.BytesIO(b"four"))[2], b"you sent 4 bytes\n")


class ReferenceTests(SynchronousTestCase):
    """docs/reference/guest.md says what is there."""

    def setUp(self) -> None:
        self.text = (DOCS / "reference" / "guest.md").read_text()

    def test_all_options(self) -> None:
        shown = io.StringIO()
        with contextlib.redirect_stdout(shown):
            self.assertRaises(SystemExit, parse, ["--help"])
        for option in set(re.findall(r"--[a-z-]+", shown.getvalue())) - {"--help"}:
            self.assertIn(f"`{option}", self.text)

    def test_all_exit_statuses(self) -> None:
        from guest import __main__ as program

        statuses = {0, program.FAILED, program.USAGE, program.BAD_IMPORT, program.REFUSED}
        statuses |= {program.REPLACED, program.NO_WORKER}
        told = set(map(int, re.findall(r"^\| (\d) \|", self.text, re.MULTILINE)))
        self.assertEqual(told, statuses)

    def test_all_hooks(self) -> None:
        for name, value in vars(SubscriberProtocol).items():
            inherited = name in {
                "connectionMade",
                "connectionLost",
                "dataReceived",
                "pauseProducing",
                "resumeProducing",
                "stopProducing",
                "whenSubscribed",
                "whenLeaving",
                "whenLost",
                "when_idle",
                "tunnel_protocols",
            }
            if callable(value) and not name.startswith("_") and not inherited:
                self.assertIn(f"`{name}(", self.text)

    def test_all_names(self) -> None:
        import guest

        for name in guest.__all__:
            self.assertIn(name, self.text)


class ExamplesTests(SynchronousTestCase):
    """examples/ can be loaded by name."""

    def test_all(self) -> None:
        for name in (
            "hello:Hello",
            "echo:Echo",
            "stream:Stream",
            "upload_digest:UploadDigest",
        ):
            self.assertTrue(load(f"examples.{name}"))


class TableTests(SynchronousTestCase):
    """The minimal guest knows the same messages as the wire."""

    def test_verbs(self) -> None:
        ours = {b"hello", b"register", b"unregister", b"pong", b"response"}
        # It has announced no tunnels, so nobody says `move` to it.
        self.assertEqual(set(MESSAGES), set(BY_VERB) - ours - {b"move"})
