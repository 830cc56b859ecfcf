"""The program for records of DNS."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.dns_hook import DnsHook, DnsHookError


class DnsHookTests(SynchronousTestCase):
    def program(self, text: str) -> DnsHook:
        path = Path(self.mktemp()).absolute()
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        self.said = path.with_name("said")
        return DnsHook(str(path))

    def test_calls(self) -> None:
        hook = self.program('echo "$@" >> "${0%/*}/said"\n')
        hook.add("_acme-challenge.a.example", "x y")
        hook.remove("_acme-challenge.a.example", "x y")
        name = "_acme-challenge.a.example x y"
        self.assertEqual(self.said.read_text(), f"add {name}\nremove {name}\n")

    def test_failures(self) -> None:
        for hook, why in (
            (self.program("echo no zone >&2; exit 3"), "add: status 3: no zone"),
            (self.program("exit 1"), "add: status 1"),
            (DnsHook("/nonexistent"), "No such file"),
        ):
            error = self.assertRaises(DnsHookError, hook.add, "a", "b")
            self.assertIn(why, str(error))
