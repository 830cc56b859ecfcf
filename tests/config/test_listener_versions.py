"""What an operator says of HTTP/2 for one listener."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.bare_port import expand, without_policy
from subproxy.config.listen import parse_http, parse_https, parse_peer_listen
from subproxy.config.listener_versions import split_versions


class ListenerVersionTests(SynchronousTestCase):
    def test_what_is_said(self) -> None:
        """It stands anywhere behind a port or an endpoint, whose other arguments stay."""
        for value, found in (
            ("443", ("443", True)),
            ("443:http2=off", ("443", False)),
            ("tcp:443:http2=off:interface=\\:\\:1", ("tcp:443:interface=\\:\\:1", False)),
            ("haproxy:tcp:80:http2=off", ("haproxy:tcp:80", False)),
            ("unix:/run/x\\:http2=off", ("unix:/run/x\\:http2=off", True)),
        ):
            self.assertEqual(split_versions(value), found)

    def test_nothing_else_is(self) -> None:
        for bad in ("443:http2=on", "443:http2=", "tcp:443:http2=off:http2=off", "http2:http2=off"):
            self.assertRaises(ValueError, parse_http, bad)
        self.assertRaises(ValueError, parse_https, "ssl:443:http2=off")
        self.assertRaises(ValueError, parse_peer_listen, "7443:http2=off")
        self.assertEqual(parse_https("443:http2=off"), "443:http2=off")

    def test_both_sockets_of_a_port(self) -> None:
        """A port is one of IPv4 and of IPv6, and the socket is known by its endpoint alone."""
        found = expand("443:http2=off", True, lambda interface: True)
        self.assertEqual([each.http2 for each in found], [False, False])
        self.assertEqual([each.where for each in found], ["tcp:443", "tcp6:443:interface=\\:\\:"])
        self.assertIn("port 443 answers this machine", without_policy(["443:http2=off"]))
