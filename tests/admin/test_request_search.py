"""A URL, an id or a trace, pasted into one field."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from subproxy.admin.pages import Reply
from subproxy.admin.request_search import search
from subproxy.admin.site import NOT_REMEMBERED
from tests.admin.test_site import AdminCase

OWN = "9f3ac41be07d2a66-0000002a"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class RequestSearchTests(AdminCase):
    def setUp(self) -> None:
        super().setUp()
        self.world.serving()
        self.remembered: dict[str, list[dict[str, Any]]] = {
            OWN: [{"id": OWN, "trace": TRACE}],
            "a.example/x": [{"id": "a.example/x"}],
        }
        self.admin.requests = lambda about: self.remembered.get(about, [])

    def test_which_it_is(self) -> None:
        self.assertEqual(self.data(f"/api/explain?url={OWN}")["requests"][0]["id"], OWN)
        self.assertEqual(self.data(f"/api/request?id={OWN}")["requests"][0]["trace"], TRACE)
        self.assertEqual(self.data(f"/api/explain?url=+{OWN}+")["requests"][0]["id"], OWN)
        # What a trusted proxy calls its requests comes before a URL without a scheme.
        self.assertIn("requests", self.data("/api/explain?url=a.example/x"))
        for url in ("http://a.example/x", "a.example/y", "a.example"):
            self.assertEqual(self.data(f"/api/explain?url={url}")["host"], "a.example")

    def test_not_remembered(self) -> None:
        """What can't be a host is not explained as one."""
        for about in (OWN.replace("2a", "2b"), TRACE):
            status, body = self.ask(f"/api/explain?url={about}")
            self.assertEqual(status, 404)
            self.assertIn(NOT_REMEMBERED, body)
        self.assertEqual(self.ask("/api/request?id=a.example")[0], 404)
        self.assertEqual(self.ask("/api/request")[0], 404)

    def test_no_log(self) -> None:
        self.admin.requests = None
        status, body = self.ask(f"/api/request?id={OWN}")
        self.assertEqual(status, 409)
        self.assertIn("--access-log", body)
        self.assertEqual(self.data("/api/explain?url=a.example")["host"], "a.example")

    def test_who_answers_later(self) -> None:
        """The parent of workers asks them."""

        class Later:
            def reply(self, what: str, about: str = "") -> Deferred[Reply]:
                found = ({"what": what}, 404 if what == "request" and about != OWN else 200)
                return succeed(found)

        for text, expected in ((OWN, "request"), ("a", "explain"), ("//a", "explain")):
            found = search(Later(), text)  # type: ignore[arg-type]
            assert isinstance(found, Deferred)
            self.assertEqual(self.successResultOf(found), ({"what": expected}, 200))
