"""The page as it comes, before a script has run."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.guard import ASSETS
from subproxy.admin.markup import asset, overview_page, served_by, sign_in_page
from subproxy.admin.site import ASSET_TYPES

EVIL = '"><script>alert(1)</script><!-- workers -->'
TOTALS = {
    **{"requests": 5, "errors": 1, "answers": 4, "first_byte": 0.2, "in_flight": 2},
    **{"waiting": 0, "tunnels": 0, "connections": 3, "subscriptions": 1},
}
ROUTE = {
    **{"host": "blog\\.example", "path": "/.*", "vacant": False, "waiting": 0},
    **{"subscribers": ["a/b/0"], "requests": 5, "errors": 1, "answers": 4, "first_byte": 0.2},
}
SUBSCRIBER = {
    **{"id": "a/b/0", "state": "draining", "latency": 0.0123, "in_flight": 2},
    **{"concurrency": 0, "weight": 1.0, "routes": 1, "instance": "i"},
}


_COLD = {"since": None, "starts": None, "start_seconds": None, "busy": 0, "memory": 0}
ROWS: dict[str, list[dict[str, Any]]] = {
    "workers": [{"worker": 0, "state": "serving", "pid": 7}],
    "machines": [
        {
            **{"machine": "blog", "index": 1, "state": "up", "since": 12.3, "starts": 2},
            **{"start_seconds": 0.51, "waiting": 0, "busy": 1, "failed": 0, "memory": 64 << 20},
            "reason": "",
        },
        {
            **{"machine": "shop", "index": None, "state": "failed", "waiting": 1, "failed": 3},
            **{**_COLD, "reason": "no disk"},
        },
    ],
    "hosts": [
        {
            **{"host": "kvm-2", "address": "192.0.2.2:1", "asks": "connected", "asked": "ready"},
            **{"routes": 3, "latency": 0.0012, "in_flight": 1},
        }
    ],
}
CLUSTER = {"state": "away", "stale": True, "stale_for": 7.2, "lease": "held"}


class _Cells(HTMLParser):
    """The texts of the cells of each table, by its id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self.tags: list[str] = []
        self._table = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "table":
            self._table = dict(attrs)["id"] or ""
            self.rows[self._table] = []
        elif tag == "tr":
            self.rows[self._table].append([])
        elif tag in ("th", "td"):
            self.rows[self._table][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._table = ""

    def handle_data(self, data: str) -> None:
        if self._table and self.rows[self._table] and self.rows[self._table][-1]:
            self.rows[self._table][-1][-1] += data.strip()


def page(**more: Any) -> str:
    """Of one route and one subscriber."""
    data = {"totals": TOTALS, "routes": [ROUTE], "subscribers": [SUBSCRIBER], "workers": []}
    data |= {"machines": [], "hosts": [], "cluster": None}
    data |= {"routes_in_all": 1, "subscribers_in_all": 1, **more}
    return overview_page(data, signed_in=bool(more.get("signed_in"))).decode()


class MarkupTests(SynchronousTestCase):
    def test_tables(self) -> None:
        """What there is, under the right heads."""
        rows = _Cells(page(workers=[{"worker": 0, "state": "serving", "pid": 7}])).rows
        for heads, *found in rows.values():
            for cells in found:
                self.assertEqual(len(heads), len(cells))
        route = dict(zip(*rows["routes"], strict=True))
        self.assertEqual(route["Host and path"], "blog\\.example /.*")
        self.assertEqual((route["Requests"], route["Errors"]), ("5", "1"))
        self.assertEqual(route["Subscribers"], "a/b/0")
        self.assertEqual(route["First byte, ms"], "50.0")
        subscriber = dict(zip(*rows["subscribers"], strict=True))
        self.assertEqual((subscriber["State"], subscriber["Ping, ms"]), ("draining", "12.3"))
        self.assertEqual(rows["workers"][1], ["0", "serving", "7"])

    def test_machines_and_hosts(self) -> None:
        rows = _Cells(page(**ROWS)).rows
        for heads, *found in rows.values():
            for cells in found:
                self.assertEqual(len(heads), len(cells))
        self.assertEqual(rows["machines"][1][:3], ["blog (1)", "up", "12"])
        self.assertEqual(rows["machines"][2][:3], ["shop", "failed: no disk", "\N{EN DASH}"])
        self.assertEqual(rows["machines"][1][-1], "64")
        self.assertEqual(rows["hosts"][1][:4], ["kvm-2", "192.0.2.2:1", "connected", "ready"])

    def test_who_serves(self) -> None:
        """A few by name."""
        for names, said in ((["a", "b", "c"], "a, b, c"), ([*"abcde"], "a, b, c, and 2 more")):
            self.assertEqual(served_by({**ROUTE, "subscribers": names}), said)

    def test_vacant(self) -> None:
        rows = _Cells(page(routes=[{**ROUTE, "vacant": True, "answers": 0}])).rows
        route = dict(zip(*rows["routes"], strict=True))
        self.assertEqual((route["Subscribers"], route["First byte, ms"]), ("vacant", "\u2013"))

    def test_names_of_guests(self) -> None:
        """They are text, whatever they say."""
        shown = page(
            routes=[{**ROUTE, "host": EVIL, "path": "\x1b\x9b\u202e"}],
            subscribers=[{**SUBSCRIBER, "id": EVIL, "state": EVIL}],
        )
        found = _Cells(shown)
        self.assertEqual(found.tags.count("script"), 1)
        self.assertEqual(found.rows["subscribers"][1][0], EVIL)
        self.assertIn(r"\x1b\x9b\u202e", found.rows["routes"][1][0])

    def test_parts(self) -> None:
        """Nothing is left of the template; what has no use is not there."""
        self.assertNotIn("<!--", page())
        for name in ("workers", "machines", "hosts"):
            self.assertIn(f' id="{name}-section" hidden>', page())
            self.assertEqual(page(**{name: ROWS[name]}).count(" hidden>"), 2)
        self.assertEqual(page(cluster=CLUSTER).count(" hidden>"), 2)
        self.assertIn(">Store: away, stale for 7 s; lease: held.<", page(cluster=CLUSTER))
        self.assertNotIn("sign-out", page())
        self.assertIn("sign-out", page(signed_in=True))
        self.assertIn("1 of 900", page(routes_in_all=900))

    def test_nothing_is_inline(self) -> None:
        """Nor of another host: the policy would stop it."""
        for text in (page(), sign_in_page("no", can=True).decode()):
            self.assertNotRegex(text, r"<style|<script(?! src=\"/static/)| style=| on[a-z]+=")
            self.assertNotRegex(text, r"(?:src|href|action)=\"(?!/|#)")
        for name in ASSET_TYPES:
            self.assertEqual(re.findall(rb"url\(|@import|innerHTML|eval\(", asset(name)), [])

    def test_assets(self) -> None:
        """Those that are open are those that there are."""
        self.assertEqual({f"/static/{name}".encode() for name in ASSET_TYPES}, set(ASSETS))

    def test_sign_in(self) -> None:
        self.assertNotIn(b"alert", sign_in_page("", can=True))
        self.assertIn(
            b'<p role="alert">the token is wrong</p>', sign_in_page("the token is wrong", can=True)
        )
        self.assertIn(b"There is no token", sign_in_page("", can=False))
