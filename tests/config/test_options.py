"""The command line."""

import io
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout

from twisted.copyright import version as twisted_version
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.help_text import EXAMPLE, release
from subproxy.config.options import GROUPS, Options, parse_http, parse_vsock
from subproxy.frontend.limits import TABLE


class ListenTests(SynchronousTestCase):
    def test_http(self) -> None:
        """Ports and endpoints are taken as they are."""
        self.assertEqual(parse_http("8888"), "8888")
        self.assertEqual(parse_http("unix:/tmp/x"), "unix:/tmp/x")
        for bad in ("http", "70000", "", "/tmp/x", "\u00b2"):
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
        self.assertEqual(parse_vsock("\u00b2").kind, "path")
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
        self.assertEqual(options["http"], ["8080"])
        self.assertEqual(options["vsock"][-1].value, "/run/subproxy/*.sock")
        self.assertTrue(options["vsock"][-1].optional)
        self.assertEqual(options["vsock-mode"], 0o660)
        for row in TABLE:
            self.assertEqual(options[row.option], row.default)

    def test_repeated(self) -> None:
        """Listeners and networks may repeat."""
        options = self.parse("--http=1", "--http=2", "--vsock=/a", "--vsock=/b", "--trust=::1")
        self.assertEqual((options["proxy-protocol"], options["admin-host"]), ([], []))
        self.assertEqual(options["http"], ["1", "2"])
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
            "--admin=9090",
            *(f"--{row.option}=x" for row in TABLE),
        ):
            said = self.complaint(word)
            self.assertEqual(said.count("\n"), 1)
            self.assertIn(word.partition("=")[0], said)

    def test_unknown(self) -> None:
        """An unknown option is a complaint too, and tells where the known ones are."""
        said = self.complaint("--nonsense")
        self.assertIn("nonsense", said)
        self.assertIn("--help", said)

    def said(self, word: str) -> str:
        said = io.StringIO()
        with redirect_stdout(said):
            error = self.assertRaises(SystemExit, self.parse, word)
        self.assertIn(error.code, (0, None))
        return said.getvalue()

    def test_version(self) -> None:
        """Ours, and that of Twisted."""
        self.assertEqual(
            self.said("--version"),
            f"subproxy {release()} (subscription-proxy-vsock), Twisted {twisted_version}\n",
        )

    def test_help(self) -> None:
        """Every option is in one group, with its default; lines fit a terminal."""
        options = Options()
        grouped = [option for _, rows in GROUPS for option, _ in rows]
        known = [option.rstrip("=") for option in options.longOpt]
        self.assertEqual(sorted(grouped), sorted(known))
        said = options.getUsage(80)
        self.assertLessEqual(max(map(len, said.splitlines())), 80)
        self.assertIn("Example:\n  twistd -n subproxy", said)
        self.assertLess(said.index("Listeners:"), said.index("Clients:"))
        for heading, rows in GROUPS:
            self.assertIn(f"\n{heading}:\n", said)
            for option, _ in rows:
                self.assertRegex(said, rf"\n  --{option}[=\n ]")
        flat = " ".join(said.split())
        for option, default in options.defaults.items():
            if default is not None and option not in ("no-fastpath",):
                self.assertRegex(flat, rf"--{option}=[^=]*\(default: {re.escape(default)}\)\.")

    def test_values_of_the_example(self) -> None:
        """It can be typed."""
        words = shlex.split(EXAMPLE.splitlines()[1])
        self.assertEqual(words[:3], ["twistd", "-n", "subproxy"])
        self.parse(*words[3:])


class PidfileTests(SynchronousTestCase):
    def pidfile(self, command_line: str, **twistd: object) -> object:
        self.patch(sys, "argv", command_line.split())
        options = Options()
        options.parent = {"pidfile": "twistd.pid", "nodaemon": 1, "debug": False, **twistd}
        options.parseOptions([])
        return options.parent["pidfile"]

    def test_not_by_surprise(self) -> None:
        """In the foreground there is none unless one is asked for; a daemon has one."""
        self.assertEqual(self.pidfile("twistd -n subproxy"), "")
        self.assertEqual(self.pidfile("twistd -b subproxy", nodaemon=0, debug=True), "")
        self.assertEqual(self.pidfile("twistd subproxy", nodaemon=0), "twistd.pid")

    def test_asked_for(self) -> None:
        """Whatever its name is, and however the option is spelled."""
        self.assertEqual(self.pidfile("twistd -n --pidfile=x subproxy", pidfile="x"), "x")
        for word in ("--pidfile=twistd.pid", "--pidfile twistd.pid", "--pid=twistd.pid"):
            self.assertEqual(self.pidfile(f"twistd -n {word} subproxy"), "twistd.pid")
        self.assertEqual(self.pidfile("twistd -n subproxy --pidfile=x"), "")
