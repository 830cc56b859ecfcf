"""Tests for L{guest.cli.options}."""

from __future__ import annotations

import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from guest.cli.options import parse
from guest.core.route import Route
from tests.rigs.refused_options import refused


class ParseTests(SynchronousTestCase):
    """What a command line asks for."""

    def refused(self, *arguments: str) -> str:
        """The last line that is printed."""
        return refused(parse, *arguments)

    def test_defaults(self) -> None:
        options = parse(["hello:Hello"])
        self.assertEqual(options.proxy, "vsock:2:12345")
        self.assertEqual(options.name, "hello:Hello")
        self.assertEqual(options.routes, ())
        self.assertEqual((options.worker, options.weight, options.concurrency), (None, None, 0))
        self.assertFalse(options.keep_going)

    def test_hosts_and_paths_go_together_in_their_order(self) -> None:
        options = parse(
            ["--host=a", "--host=b", "--path=/x", "--host", "b", "--path", "/y", "hello:Hello"]
        )
        expected = (Route(b"a", b"/.*"), Route(b"b", b"/x"), Route(b"b", b"/y"))
        self.assertEqual(options.routes, expected)

    def test_a_path_needs_a_host(self) -> None:
        for arguments in (["--path=/"], ["--host=a", "--path=/x", "--path=/y"]):
            self.assertIn("which --host is it for?", self.refused(*arguments, "hello:Hello"))

    def test_all_options(self) -> None:
        options = parse(
            ["--proxy=unix:/x", "--weight=7", "--concurrency=3", "--name=n", "--worker=2"]
            + ["--log-level=debug", "--keep-going", "--drain-timeout=1.5", "m:A"]
        )
        self.assertEqual((options.target, options.proxy, options.name), ("m:A", "unix:/x", "n"))
        self.assertEqual((options.weight, options.concurrency, options.worker), (7, 3, 2))
        self.assertEqual((options.log_level, options.drain_timeout), ("debug", 1.5))
        self.assertTrue(options.keep_going)

    def test_numbers_out_of_bounds(self) -> None:
        for option in ("--weight=0", "--weight=1001", "--concurrency=-1", "--worker=x"):
            name, _, value = option.partition("=")
            self.assertIn(f"{name}: {value} is not from ", self.refused(option, "hello:Hello"))

    def test_a_drain_timeout_that_is_none(self) -> None:
        for value in ("-1", "nan", "x", "inf"):
            said = self.refused(f"--drain-timeout={value}", "m:A")
            self.assertIn(f"--drain-timeout: {value} is not from 0 to 86400", said)

    def test_patterns_and_names_out_of_bounds(self) -> None:
        self.assertIn("a pattern has", self.refused("--host=", "hello:Hello"))
        self.assertIn("a pattern has", self.refused("--host=" + "a" * 1025, "hello:Hello"))
        self.assertIn("at most 128", self.refused("--name=" + "a" * 129, "hello:Hello"))

    def test_no_application(self) -> None:
        self.assertIn("module:attr", self.refused("--host=a"))

    def test_options_are_not_guessed(self) -> None:
        self.assertIn("--wei", self.refused("--wei=1", "hello:Hello"))

    def test_help_has_the_exit_statuses(self) -> None:
        stdout = io.StringIO()
        with contextlib.redirect_stdout(stdout):
            error = self.assertRaises(SystemExit, parse, ["--help"])
        self.assertEqual(error.code, 0)
        self.assertIn("exit statuses:", stdout.getvalue())
