"""The command line."""

import io
from contextlib import redirect_stderr

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.limits import TABLE
from subproxy.options import Options, parse_http, parse_vsock


class ListenTests(SynchronousTestCase):
    def test_http(self) -> None:
        """A bare port is TCP; endpoints are taken as they are."""
        self.assertEqual(parse_http("8888"), "tcp:8888")
        self.assertEqual(parse_http("unix:/tmp/x"), "unix:/tmp/x")
        for bad in ("http", "70000", "", "/tmp/x"):
            self.assertRaises(usage.UsageError, parse_http, bad)

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
        for bad in ("/run/*/x.sock", "/run/vms/", "4294967295"):
            self.assertRaises(usage.UsageError, parse_vsock, bad)


class OptionsTests(SynchronousTestCase):
    def parse(self, *words: str) -> Options:
        options = Options()
        options.parseOptions(list(words))
        return options

    def complaint(self, *words: str) -> str:
        said = io.StringIO()
        with redirect_stderr(said):
            error = self.assertRaises(SystemExit, self.parse, *words)
        self.assertEqual(error.code, 1)
        return said.getvalue()

    def test_defaults(self) -> None:
        """Without options: a port for HTTP, and a folder for guests."""
        options = self.parse()
        self.assertEqual(options["http"], ["tcp:8080"])
        self.assertEqual(options["vsock"][-1].value, "/run/subproxy/*.sock")
        self.assertTrue(options["vsock"][-1].optional)
        self.assertEqual(options["vsock-mode"], 0o660)
        for row in TABLE:
            self.assertEqual(options[row.option], row.default)

    def test_repeated(self) -> None:
        """Listeners and networks may repeat."""
        options = self.parse("--http=1", "--http=2", "--vsock=/a", "--vsock=/b", "--trust=::1")
        self.assertEqual((options["proxy-protocol"], options["admin-host"]), ([], []))
        self.assertEqual(options["http"], ["tcp:1", "tcp:2"])
        self.assertEqual([listen.value for listen in options["vsock"]], ["/a", "/b"])
        self.assertEqual(options["trust"], ["::1"])

    def test_proxy_protocol(self) -> None:
        """It wants a listener that expects it."""
        words = ("--proxy-protocol=10.0.0.0/8", "--proxy-protocol=unix", "--admin-host=a.example")
        options = self.parse("--http=1", "--http=haproxy:tcp:2", *words)
        self.assertEqual(options["proxy-protocol"], ["10.0.0.0/8", "unix"])
        self.assertEqual(options["admin-host"], ["a.example"])
        self.assertIn("haproxy:tcp:PORT", self.complaint("--http=1", *words))

    def test_bad_values(self) -> None:
        """Each is one line that names the option."""
        for word in (
            "--vsock-port=x",
            "--vsock-mode=999",
            "--balance=best",
            "--hold=-1",
            "--queue=many",
            "--ping-interval=0",
            "--access-log-format=xml",
            "--half-close=never",
            "--trust=everybody",
            "--proxy-protocol=everybody",
            *(f"--{row.option}=x" for row in TABLE),
        ):
            said = self.complaint(word)
            self.assertEqual(said.count("\n"), 1)
            self.assertIn(word.partition("=")[0], said)

    def test_unknown(self) -> None:
        """An unknown option is a complaint too."""
        self.assertIn("nonsense", self.complaint("--nonsense"))
