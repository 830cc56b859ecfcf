"""The command line."""

import io
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

from twisted.copyright import version as twisted_version
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.combinations import address_of
from subproxy.config.help_text import EXAMPLE, release
from subproxy.config.options import GROUPS, Options
from subproxy.frontend.limits import TABLE


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

    def test_a_word_that_is_no_option(self) -> None:
        """As other proxies are given their file: the line says how it is done here."""
        self.assertEqual(
            self.complaint("--http=1", "proxy.toml", "more"),
            "subproxy: proxy.toml: not an option; a configuration is --config=proxy.toml "
            "(twistd subproxy --help tells the options)\n",
        )

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

    def test_what_is_said_of_bad_values(self) -> None:
        """Scripts and people have read these lines: they stay as they are."""
        for word, line in (
            ("--http=70000", "--http=70000: a port is at most 65535"),
            (
                "--http=x",
                "--http=x: neither a port nor an endpoint such as tcp:8888:interface=127.0.0.1",
            ),
            ("--vsock=4294967295", "--vsock=4294967295: a vsock port has 32 bits"),
            ("--vsock=/*/x", "--vsock=/*/x: only the last part of a path may be a pattern"),
            ("--vsock=/a/", "--vsock=/a/: the path of a VM's socket, or a pattern, is needed"),
            ("--vsock-port=x", "--vsock-port=x: a number from 0 to 4.29497e+09 is needed"),
            ("--vsock-mode=8", "--vsock-mode=8: not octal"),
            ("--vsock-mode=-1", "--vsock-mode=-1: a mode from 0 to 7777 is needed"),
            ("--vsock-mode=66000", "--vsock-mode=66000: a mode from 0 to 7777 is needed"),
            (
                "--admin=90",
                "--admin=90: a path is needed, or an endpoint such as tcp:90:interface=127.0.0.1",
            ),
            ("--balance=x", "--balance=x: one of p2c-ewma, round-robin, least-connections"),
            ("--ping-timeout=0", "--ping-timeout=0: a number from 0.05 to 86400 is needed"),
            ("--hold=nan", "--hold=nan: a number from 0 to 86400 is needed"),
            ("--queue=1e7", "--queue=1e7: a number from 0 to 1e+06 is needed"),
            ("--bulk=-1", "--bulk=-1: a number from 0 to 9.0072e+15 is needed"),
            ("--spin=1001", "--spin=1001: a number from 0 to 1000 is needed"),
            ("--half-close=x", "--half-close=x: one of auto, allow, deny"),
            ("--access-log-format=x", "--access-log-format=x: combined or json"),
            ("--max-head=1.5", "--max-head=1.5: a number of bytes is needed"),
            ("--trust=x", "--trust: 'x' does not appear to be an IPv4 or IPv6 network"),
            ("--no-fastpath=1", "option --no-fastpath must not have an argument"),
        ):
            self.assertEqual(
                self.complaint(word),
                f"subproxy: {line} (twistd subproxy --help tells the options)\n",
            )

    def test_what_does_not_go_together(self) -> None:
        acme = "--acme=https://authority.example/directory"
        for words, line in (
            (("--https=443",), "--https: say where the certificates are (--certificates=FOLDER)"),
            (
                ("--certificates=/",),
                "--certificates: no listener shows them; say --https=PORT",
            ),
            ((acme,), "--acme: no listener shows certificates; say --https=PORT"),
        ):
            self.assertIn(f"subproxy: {line} (", self.complaint(*words))

    def test_other_hosts(self) -> None:
        """What is said of them belongs together."""
        files = ("--peer-certificate=a.pem", "--peer-ca=b.pem")
        listen, peer = "--peer-listen=tcp:7443:interface=192.0.2.1", "--peer=kvm-2=a:1"
        etcd = "--cluster=etcd:http://127.0.0.1:2379"
        for words, line in (
            ((listen,), "--peer-listen: say --peer-certificate=FILE, too"),
            ((peer, files[0]), "--peer: say --peer-ca=FILE, too"),
            (files, "--peer-certificate: no other host is named; say --peer-listen or --peer"),
            ((listen, peer, etcd, *files), "--peer: not with --cluster, which names the hosts"),
            ((etcd, *files), "--cluster: say where the others dial in (--peer-listen=PORT)"),
            ((listen, *files, "--cluster-ca=c"), "--cluster-ca: there is no --cluster"),
            ((listen, *files, "--peer-address=a:1"), "--peer-address: there is no --cluster"),
            (
                (listen, *files, etcd, "--cluster=etcd:https://a:1"),
                "--cluster: all members by http, or all by https",
            ),
            (
                ("--peer-listen=7443", *files, etcd),
                "--cluster: say where the others dial this host (--peer-address)",
            ),
            (
                ("--peer-listen=tcp:7443:interface=0.0.0.0", *files, etcd),
                "--cluster: say where the others dial this host (--peer-address)",
            ),
        ):
            self.assertIn(f"subproxy: {line} (", self.complaint(*words))
        self.assertIn("--peer=a: NAME=HOST:PORT is needed", self.complaint("--peer=a"))
        found = self.parse(listen, *files, etcd).settings
        self.assertEqual(found.cluster, ("etcd:http://127.0.0.1:2379",))
        found = self.parse(listen, peer, "--peer=kvm-3=b:2", *files).settings
        self.assertEqual(found.peer, ("kvm-2=a:1", "kvm-3=b:2"))

    def test_address(self) -> None:
        """Where other hosts dial this one, if its listener says that."""
        for listen, address in (
            ("tcp:7443:interface=192.0.2.1", "192.0.2.1:7443"),
            ("tcp6:7443:interface=2001\\:db8\\:\\:1", "[2001:db8::1]:7443"),
            ("tcp:7443", None),
            ("tcp6:7443:interface=\\:\\:", None),
            ("unix:/tmp/x", None),
        ):
            self.assertEqual(address_of(listen), address)

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

    def test_subproxy_run(self) -> None:
        """Whoever has typed that is told of that, and not of twistd."""
        options = Options()
        options.parent = SimpleNamespace(typed="subproxy run", get=lambda key: None)
        lines = str(options).splitlines()
        self.assertEqual(lines[0], f"Usage: subproxy run {Options.synopsis}")
        self.assertIn("  subproxy run --http=8888", "\n".join(lines))
        self.assertNotIn("twistd", "\n".join(lines))
        errors = io.StringIO()
        self.patch(sys, "stderr", errors)
        self.assertRaises(SystemExit, options.parseOptions, ["--x"])
        self.assertIn("(subproxy run --help tells the options)", errors.getvalue())


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
