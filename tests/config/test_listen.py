"""What an operator writes for a listener."""

import re

from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.listen import (
    parse_admin,
    parse_cluster,
    parse_http,
    parse_https,
    parse_peer_listen,
    parse_prefix,
    parse_vsock,
)


class ListenTests(SynchronousTestCase):
    def test_http(self) -> None:
        """Ports and endpoints are taken as they are."""
        self.assertEqual(parse_http("8888"), "8888")
        self.assertEqual(parse_http("unix:/tmp/x"), "unix:/tmp/x")
        for bad in ("http", "70000", "", "/tmp/x", "\u00b2"):
            self.assertRaises(ValueError, parse_http, bad)

    def test_http_as_others_are_told(self) -> None:
        """HOST:PORT is answered with the endpoint that was meant."""
        for text, meant in (
            ("127.0.0.1:8080", "tcp:8080:interface=127.0.0.1"),
            ("localhost:80", "tcp:80:interface=127.0.0.1"),
            ("0.0.0.0:80", "tcp:80"),
            ("*:80", "tcp:80"),
            (":80", "tcp:80"),
            ("[::1]:80", "tcp6:80:interface=\\:\\:1"),
        ):
            for parse in (parse_http, parse_https, parse_peer_listen):
                error = self.assertRaises(ValueError, parse, text)
                self.assertEqual(str(error), f"say {meant}")
            self.assertEqual(parse_http(meant), meant)
            serverFromString(MemoryReactorClock(), meant)  # type: ignore[no-untyped-call]

    def test_https(self) -> None:
        """The same, but what does TLS itself."""
        for good in ("443", "tcp:443", "haproxy:tcp:443", "unix:/tmp/x"):
            self.assertEqual(parse_https(good), good)
        for bad in ("http", "ssl:443", "tls:443", "haproxy:ssl:443"):
            self.assertRaises(ValueError, parse_https, bad)

    def test_vsock(self) -> None:
        """A port, an endpoint, a path and a pattern are told apart."""
        for text, kind, value in (
            ("12345", "endpoint", "vsock:12345"),
            ("vsock:1:cid=2", "endpoint", "vsock:1:cid=2"),
            ("hvsock:/tmp/a.sock", "endpoint", "hvsock:/tmp/a.sock"),
            ("/tmp/cid10.sock", "path", "/tmp/cid10.sock"),
            ("relative.sock", "path", "relative.sock"),
            ("/run/vms/*.sock", "glob", "/run/vms/*.sock"),
            ("/run/vms/vm[0-9].sock", "glob", "/run/vms/vm[0-9].sock"),
        ):
            listen = parse_vsock(text)
            self.assertEqual((listen.kind, listen.value), (kind, value))
            self.assertIn(value, repr(listen))
        self.assertEqual(parse_vsock("\u00b2").kind, "path")
        for bad in ("/run/*/x.sock", "/run/vms/", "4294967295"):
            self.assertRaises(ValueError, parse_vsock, bad)

    def test_admin(self) -> None:
        """A path or an endpoint, but no bare port."""
        for good in ("/run/a.sock", "tcp:9090", "unix:/a", "relative.sock"):
            self.assertEqual(parse_admin(good), good)
        self.assertRaises(ValueError, parse_admin, "9090")

    def test_no_path_is_called_as_an_address(self) -> None:
        """HOST:PORT, as the subproxy command has it, is no socket in the current folder."""
        for address, endpoint in (
            ("127.0.0.1:9900", "tcp:9900:interface=127.0.0.1"),
            ("localhost:9900", "tcp:9900:interface=127.0.0.1"),
            (":9900", "tcp:9900"),
            ("[::1]:9900", r"tcp6:9900:interface=\:\:1"),
        ):
            for parse in (parse_admin, parse_vsock):
                with self.assertRaisesRegex(ValueError, "say " + re.escape(endpoint) + r"\Z"):
                    parse(address)

    def test_peer_listen(self) -> None:
        """A bare port is one of all interfaces; TLS and the PROXY protocol are not before it."""
        self.assertEqual(parse_peer_listen("7443"), "tcp:7443")
        self.assertEqual(parse_peer_listen("tcp:7443:interface=::1"), "tcp:7443:interface=::1")
        for bad in ("70000", "peer", "ssl:7443", "haproxy:tcp:7443"):
            self.assertRaises(ValueError, parse_peer_listen, bad)

    def test_cluster(self) -> None:
        """A member of etcd."""
        for good in ("etcd:http://a:2379", "etcd:https://[2001:db8::1]:2379"):
            self.assertEqual(parse_cluster(good), good)
        for bad in (
            "etcd",
            "etcd:",
            "etcd:a:2379",
            "http://a:2379",
            "zk:http://a:1",
            "etcd:http://u:p@a:1",
            "etcd:http://a:1/x",
            "etcd:http://a:1,",
            "",
        ):
            self.assertRaises(ValueError, parse_cluster, bad)

    def test_prefix(self) -> None:
        """It begins and ends with a slash."""
        for good in ("/", "/subproxy/", "/a/b-c_d.e/"):
            self.assertEqual(parse_prefix(good), good)
        for bad in ("", "a", "/a", "a/", "//", "/a b/", "/\u00e4/"):
            self.assertRaises(ValueError, parse_prefix, bad)
