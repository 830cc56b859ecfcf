"""Which reactor the proxy runs on."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from subproxy import reactor as io_uring
from subproxy.process import reactor_choice
from subproxy.reactor import compiled_epoll
from tests.rigs.paths import ROOT


def chosen(before: str = "") -> str:
    """What a fresh process chooses."""
    program = f"{before}\nfrom subproxy.process.reactor_choice import choose\nprint(choose())"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


class ChooseTests(SynchronousTestCase):
    def test_io_uring_where_it_can_be_had(self) -> None:
        """By itself, where the kernel allows it; otherwise the reason is told."""
        reason = io_uring.unavailable()
        if reason is None:
            self.assertEqual(chosen(), "IOUringReactor\n")
        else:
            self.assertIn(reason, chosen())

    def test_falls_back(self) -> None:
        """Where it cannot be had: the compiled one on epoll, and why; or the platform's own."""
        program = "import subproxy.reactor as r; r.unavailable = lambda: 'forbidden'"
        said = chosen(program)
        reason = "since io_uring cannot be used: forbidden"
        if compiled_epoll.unavailable() is None:
            self.assertEqual(said, f"CompiledEpollReactor, {reason}\n")
        program += "\nfrom subproxy.reactor import compiled_epoll as e"
        program += "\ne.unavailable = lambda: 'no compiler'"
        said = chosen(program)
        both = f"{reason}; compiled epoll cannot be used: no compiler"
        self.assertEqual(said, f"EPollReactor, {both}\n")

    def test_what_cannot_be_installed(self) -> None:
        """The reason is told, and the next one is tried."""
        program = """
import subproxy.reactor as r
r.unavailable = lambda: None
def install():
    raise OSError("too many of them")
r.install = install
"""
        self.assertIn(
            "Reactor, since io_uring cannot be used: it could not be installed (too many of them)",
            chosen(program),
        )

    def test_what_was_asked_for_stays(self) -> None:
        """A reactor that is installed already is kept."""
        said = chosen("from twisted.internet import selectreactor; selectreactor.install()")
        self.assertEqual(said, "SelectReactor, as it was asked for\n")

    def test_here(self) -> None:
        """In this process trial's reactor stays."""
        from twisted.internet import reactor  # noqa: F401

        self.assertIn("as it was asked for", reactor_choice.choose())


class SpinTests(SynchronousTestCase):
    def spun(self, program: str) -> str:
        program = f"{program}\nfrom subproxy.process.reactor_choice import set_spin"
        program += "\nfrom twisted.internet import reactor"
        program += "\nprint(set_spin(reactor, 7.0), getattr(reactor, 'engine', None) and "
        program += "getattr(reactor.engine, 'spin', None))"
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout

    def test_who_can(self) -> None:
        """The reactor on io_uring, of those that there are."""
        self.assertEqual(self.spun(""), "False None\n")
        for kind, said in (io_uring, "True 7e-06\n"), (compiled_epoll, "False None\n"):
            if kind.unavailable() is None:
                self.assertEqual(self.spun(f"import {kind.__name__} as r\nr.install()"), said)
