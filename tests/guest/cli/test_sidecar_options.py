"""Tests for L{guest.cli.sidecar_options}."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from guest.cli.options import parse
from guest.cli.sidecar_options import SidecarOptions, split_command
from guest.core.route import Route
from guest.sidecar.address import ProgramAddress
from guest.sidecar.restart import RestartMode
from tests.rigs.refused_options import refused

TO = "--to=http://127.0.0.1:3000"


def sidecar(*arguments: str) -> SidecarOptions:
    found = parse(arguments).sidecar
    assert found is not None
    return found


class SidecarOptionTests(SynchronousTestCase):
    def refused(self, *arguments: str) -> str:
        """The last line that is printed."""
        return refused(parse, *arguments)

    def test_a_program(self) -> None:
        options = parse(["--host=a", TO, "--", "node", "server.js", "--host=b", "--", "c"])
        self.assertEqual((options.name, len(options.routes)), ("127.0.0.1:3000", 1))
        found = options.sidecar
        assert found is not None
        self.assertEqual(found.address, ProgramAddress("127.0.0.1", 3000))
        self.assertEqual(found.command, ("node", "server.js", "--host=b", "--", "c"))
        self.assertEqual((found.ready, found.host), (None, None))
        self.assertEqual((found.restart, found.grace), (RestartMode.ALWAYS, 10.0))
        self.assertEqual(found.name, "node server.js --host=b -- c")

    def test_all_of_it(self) -> None:
        found = sidecar(
            *("--to=unix:/run/a.sock", "--ready=/health/z?a=%20", "--host-header=localhost:5173"),
            *("--restart=on-failure", "--stop-timeout=0", "--", "a" * 70),
        )
        self.assertEqual((found.ready, found.host), ("/health/z?a=%20", b"localhost:5173"))
        self.assertEqual((found.restart, found.grace), (RestartMode.ON_FAILURE, 0.0))
        self.assertEqual(found.name, "a" * 57 + "...")
        self.assertEqual(found.upgrades, (b"websocket",))

    def test_upgrades(self) -> None:
        found = sidecar(TO, "--upgrade=TCP", "--upgrade=WebSocket", "--upgrade=foo/2")
        self.assertEqual(found.upgrades, (b"websocket", b"tcp", b"foo/2"))
        more = [f"--upgrade=a{number}" for number in range(8)]
        self.assertEqual(len(sidecar(TO, *more[:7]).upgrades), 8)
        self.assertIn("at most 8 protocols", self.refused(TO, *more))

    def test_passthrough(self) -> None:
        """All hosts are for TLS, and what is about HTTP does not go with it."""
        options = parse(["--host=a", "--passthrough", TO, "--host=b"])
        assert options.sidecar is not None
        self.assertEqual(options.sidecar.upgrades, (b"tls",))
        routes = (Route(b"a", passthrough=True), Route(b"b", passthrough=True))
        self.assertEqual(options.routes, routes)
        for wrong in ("--ready=/", "--host-header=a", "--upgrade=tcp", "--upgrade-timeout=1"):
            self.assertIn("not for --passthrough", self.refused(TO, "--passthrough", wrong))
        said = self.refused(TO, "--host=a", "--path=/x", "--passthrough")
        self.assertIn("a host has all its paths", said)

    def test_only_a_bridge(self) -> None:
        found = sidecar(TO, "--ready=/", "--name=shop")
        self.assertEqual((found.command, found.name), ((), "the program at 127.0.0.1:3000"))
        self.assertEqual(parse([TO, "--name=shop"]).name, "shop")

    def test_an_application(self) -> None:
        self.assertIsNone(parse(["a:b"]).sidecar)

    def test_what_does_not_go_together(self) -> None:
        for arguments, reason in (
            ((), "module:attr, or --to"),
            (("--", "node"), "-- and a program want --to"),
            (("--ready=/", "a:b"), "--ready wants --to"),
            (("--host-header=a", "a:b"), "--host-header wants --to"),
            (("--upgrade=tcp", "a:b"), "--upgrade wants --to"),
            (("--restart=never", "a:b"), "--restart wants --to"),
            (("--stop-timeout=1", "a:b"), "--stop-timeout wants --to"),
            ((TO, "node"), "node or --to, not both"),
            ((TO, "--"), "what is to be started?"),
            ((TO, "--restart=never"), "for a program that follows --"),
            ((TO, "--stop-timeout=1"), "for a program that follows --"),
            ((TO, "--threads=3"), "--threads is for module:attr"),
            ((TO, "--reload"), "--reload is for module:attr"),
            ((TO, "--root-path=/a"), "--root-path is for module:attr"),
        ):
            self.assertIn(reason, self.refused(*arguments), arguments)

    def test_wrong_values(self) -> None:
        for argument, reason in (
            ("--to=https://127.0.0.1:3000", "plain http"),
            ("--ready=healthz", "no path"),
            ("--ready=/a b", "no path"),
            ("--ready=/\xe9", "ASCII"),
            ("--ready=/a#b", "leave out #"),
            ("--host-header=", "no host"),
            ("--host-header=a\r\nb", "no host"),
            ("--host-header=b\xfccher", "no host"),
            ("--upgrade=a b", "no protocol"),
            ("--restart=sometimes", "always, on-failure or never"),
            ("--stop-timeout=-1", ""),
        ):
            self.assertIn(reason, self.refused(TO, argument, "--", "node"), argument)

    def test_split(self) -> None:
        self.assertEqual(split_command(["a"]), (["a"], None))
        self.assertEqual(split_command(["a", "--"]), (["a"], ()))


class NameTests(SynchronousTestCase):
    def test_by_which_name_it_was_called(self) -> None:
        """Help and errors say how to call it again."""
        for called, shown in (
            ("/usr/bin/subproxy-guest", "usage: subproxy-guest "),
            ("/x/guest/__main__.py", "usage: python -m guest "),
        ):
            self.patch(__import__("sys"), "argv", [called])
            stdout = io.StringIO()
            with contextlib.redirect_stdout(stdout):
                self.assertRaises(SystemExit, parse, ["--help"])
            self.assertIn(shown, stdout.getvalue())
