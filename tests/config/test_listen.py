"""What an operator writes for a listener."""

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.listen import parse_admin, parse_http, parse_https, parse_vsock


class ListenTests(SynchronousTestCase):
    def test_http(self) -> None:
        """Ports and endpoints are taken as they are."""
        self.assertEqual(parse_http("8888"), "8888")
        self.assertEqual(parse_http("unix:/tmp/x"), "unix:/tmp/x")
        for bad in ("http", "70000", "", "/tmp/x", "\u00b2"):
            self.assertRaises(ValueError, parse_http, bad)

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
