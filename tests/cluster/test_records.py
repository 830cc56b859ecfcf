"""What hosts say of themselves: written, read, and not believed."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.records import (
    MAX_VALUE,
    HostRecord,
    RecordRefused,
    RouteRecord,
    host_key,
    host_value,
    parse_record,
    route_key,
    route_value,
)
from subproxy.core.routing.route import Route

PREFIX = "/subproxy/"
ROUTE = Route(b"blog\\.example", b"/%E4.*")
KEY = route_key(PREFIX, "kvm-2", ROUTE)


class RecordTests(SynchronousTestCase):
    def test_route(self) -> None:
        """What is written is read again."""
        for route in (ROUTE, Route(b"blog\\.example", passthrough=True)):
            key = route_key(PREFIX, "kvm-2", route)
            found = parse_record(PREFIX, key, route_value(route))
            self.assertEqual(found, RouteRecord("kvm-2", route))

    def test_host(self) -> None:
        """So is a host's."""
        for address in ("192.0.2.1:7443", "[2001:db8::1]:7443", "kvm-2.example:1"):
            found = parse_record(PREFIX, host_key(PREFIX, "kvm-2"), host_value(address))
            self.assertEqual(found, HostRecord("kvm-2", address))

    def test_two_routes_have_two_keys(self) -> None:
        """Where a pattern ends is in the key."""
        keys = {
            route_key(PREFIX, "a", Route(host, path))
            for host, path in ((b"a", b"/b"), (b"ab", b"/"), (b"b", b"/b"), (b"a", b"/"))
        }
        keys.add(route_key(PREFIX, "a", Route(b"a", b"/", passthrough=True)))
        self.assertEqual(len(keys), 5)

    def test_refused(self) -> None:
        """What does not have the form of a record is none, for a reason that can be printed."""
        host, value = host_key(PREFIX, "kvm-2"), route_value(ROUTE)
        pattern = {"host": "a/", "path": "/"}
        rows: list[tuple[bytes, bytes]] = [
            (b"/other/hosts/kvm-2", host_value("a:1")),
            (b"/subproxy/hosts/kvm-2/x", host_value("a:1")),
            (b"/subproxy/hosts/KVM", host_value("a:1")),
            (b"/subproxy/hosts/", host_value("a:1")),
            (b"/subproxy/other/kvm-2", host_value("a:1")),
            (b"/subproxy/routes/kvm-2", value),
            (b"/subproxy/routes/\xff/" + KEY[-32:], value),
            (host, b"{}"),
            (host, b'{"address": 7}'),
            (host, b'{"address": "a"}'),
            (host, b"["),
            (host, b"[" * 10_000),
            (host, b"[]"),
            (host, b"\xff"),
            (host, b'{"address": "a:1"}' + b" " * MAX_VALUE),
            (KEY, b'{"host": "blog", "path": "/"}'),
            (KEY, b'{"host": "\\u1234", "path": "/"}'),
            (KEY, b'{"host": "blog"}'),
            (route_key(PREFIX, "kvm-3", ROUTE)[:-1], value),
            (_key_of(pattern), json.dumps(pattern).encode()),
        ]
        for key, said in rows:
            error = self.assertRaises(RecordRefused, parse_record, PREFIX, key, said)
            self.assertTrue(str(error).isprintable(), (key, said))

    @given(st.binary(max_size=60), st.binary(max_size=60))
    def test_anything(self, rest: bytes, value: bytes) -> None:
        """Nothing that can stand in the store does harm."""
        for key in (b"/subproxy/" + rest, host_key(PREFIX, "a"), KEY):
            try:
                parse_record(PREFIX, key, value)
            except RecordRefused:
                pass


def _key_of(said: dict[str, str]) -> bytes:
    """The key that a route would have if there could be such a one."""
    digest = hashlib.sha256(f"{said['host']}\0{said['path']}".encode()).hexdigest()[:32]
    return f"/subproxy/routes/kvm-2/{digest}".encode()
