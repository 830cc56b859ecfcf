"""
The page of the admin listener as HTML: what it shows is in it before any script has run.

Pure: data in, bytes out. All that comes from guests is escaped, here and nowhere else. The script
(C{static/page.js}) fills the same tables anew with each event; their columns are those of
C{static/page.html}.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path

from subproxy.admin.view import Data
from subproxy.core.printable import printable

STATIC = Path(__file__).parent / "static"

PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    b"require-trusted-types-for 'script'"
)
"""The C{Content-Security-Policy} of pages: nothing of another host, nothing that is inline."""

MOST_NAMES = 3
"""Subscribers of a route that are named."""

UNKNOWN = "\N{EN DASH}"
"""What a rate is, until there are two looks."""


@cache
def asset(name: str) -> bytes:
    """A file of the page, as it is."""
    return (STATIC / name).read_bytes()


def sign_in_page(wrong: str, *, can: bool) -> bytes:
    """
    Where the token is typed.

    @param wrong: why the last attempt was refused, or nothing.
    @param can: whether there is a token that would be right.
    """
    said = wrong if can else "There is no token: see the log of the proxy, and --admin-token."
    alert = f'<p role="alert">{escape(said)}</p>' if said else ""
    return asset("sign-in.html").replace(b"<!-- alert -->", alert.encode())


def overview_page(data: Data, *, signed_in: bool) -> bytes:
    """
    The page.

    @param data: of L{Overview.look<subproxy.admin.overview.Overview.look>}.
    @param signed_in: by a cookie, which can be taken back.
    """
    filled = {
        "figures": _figures(data["totals"]),
        "routes": "".join(map(_route, data["routes"])),
        "routes in all": _in_all(data, "routes"),
        "subscribers": "".join(map(_subscriber, data["subscribers"])),
        "subscribers in all": _in_all(data, "subscribers"),
        "workers": "".join(map(_worker, data["workers"])),
        "machines": "".join(map(_machine, data["machines"])),
        "hosts": "".join(map(_host, data["hosts"])),
        "cluster": escape(_cluster(data["cluster"])),
        "no workers": _hidden(data["workers"]),
        "no machines": _hidden(data["machines"]),
        "no hosts": _hidden(data["hosts"] or data["cluster"]),
    }
    page = asset("page.html").decode()
    for name, text in filled.items():
        page = page.replace(f"<!-- {name} -->", text)
    if not signed_in:
        page = _without(page, '<form id="sign-out"', "</form>")
    return page.encode()


def _without(page: str, start: str, end: str) -> str:
    before, _, rest = page.partition(start)
    return before + rest.partition(end)[2]


def _figures(totals: Data) -> str:
    rows = (
        ("rate", "Requests a second", UNKNOWN),
        ("error_rate", "Errors a second", UNKNOWN),
        ("requests", "Requests", totals["requests"]),
        ("errors", "Errors (5xx)", totals["errors"]),
        ("in_flight", "Under way", totals["in_flight"]),
        ("waiting", "Waiting", totals["waiting"]),
        ("tunnels", "Tunnels", totals["tunnels"]),
        ("connections", "Clients", totals["connections"]),
        ("subscriptions", "Guests", totals["subscriptions"]),
    )
    return "".join(
        f'<div><dt>{name}</dt><dd id="total-{key}">{value}</dd></div>' for key, name, value in rows
    )


def _in_all(data: Data, what: str) -> str:
    shown, count = len(data[what]), data[f"{what}_in_all"]
    return str(count) if shown == count else f"{shown} of {count}"


def _route(route: Data) -> str:
    return _row(
        f"{printable(route['host'])} {printable(route['path'])}",
        served_by(route),
        route["waiting"],
        UNKNOWN,
        route["requests"],
        route["errors"],
        mean_milliseconds(route["first_byte"], route["answers"]),
    )


def _subscriber(each: Data) -> str:
    return _row(
        each["id"],
        each["state"],
        each.get("process", 0),
        round(each["latency"] * 1000, 1),
        each["in_flight"],
        each["concurrency"] or UNKNOWN,
        each["weight"],
        each["routes"],
        "",
    )


def _worker(each: Data) -> str:
    return _row(str(each["worker"]), each["state"], each["pid"])


def _machine(each: Data) -> str:
    """An instance of a machine, or a machine that is cold."""
    index = each["index"]
    state = f"{each['state']}: {each['reason']}" if each["reason"] else each["state"]
    return _row(
        each["machine"] if index is None else f"{each['machine']} ({index})",
        state,
        UNKNOWN if each["since"] is None else round(each["since"]),
        UNKNOWN if each["starts"] is None else each["starts"],
        UNKNOWN if each["start_seconds"] is None else round(each["start_seconds"], 2),
        each["waiting"],
        each["busy"],
        each["failed"],
        each["memory"] >> 20,
    )


def _host(each: Data) -> str:
    return _row(
        each["host"],
        each["address"] or UNKNOWN,
        each["asks"],
        each["asked"],
        each["routes"],
        UNKNOWN if each["latency"] is None else round(each["latency"] * 1000, 1),
        each["in_flight"],
    )


def _cluster(cluster: Data | None) -> str:
    """A line on the store of a cluster."""
    if cluster is None:
        return ""
    stale = f", stale for {cluster['stale_for']:.0f} s" if cluster["stale"] else ""
    return f"Store: {cluster['state']}{stale}; lease: {cluster['lease']}."


def _hidden(shown: object) -> str:
    return "" if shown else " hidden"


def served_by(route: Data) -> str:
    """Who serves a route: a few names, and how many there are beside."""
    if route["vacant"]:
        return "vacant"
    names, more = route["subscribers"][:MOST_NAMES], len(route["subscribers"]) - MOST_NAMES
    return ", ".join([*names, *([f"and {more} more"] if more > 0 else [])])


def mean_milliseconds(seconds: float, count: int) -> str:
    """The mean of so many that took so long together."""
    return f"{seconds * 1000 / count:.1f}" if count else UNKNOWN


def _row(head: str, *cells: object) -> str:
    return f'<tr><th scope="row">{escape(head)}</th>{"".join(_cells(cells))}</tr>\n'


def _cells(cells: Iterable[object]) -> Iterable[str]:
    return (f"<td>{escape(str(cell))}</td>" for cell in cells)
