from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.console_lines import KEPT, LONGEST, ConsoleLines

PANIC = b"[    1.234567] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n"
PIECES = st.binary() | st.sampled_from([PANIC, b"\n", b"\x1b[2J", b"Kernel panic - not syncing: "])


def lines_of(*pieces: bytes) -> ConsoleLines:
    """What is known when those were written."""
    lines = ConsoleLines()
    for each in pieces:
        lines.feed(each)
    return lines


class ConsoleLinesTests(SynchronousTestCase):
    def test_init(self) -> None:
        """It has begun once it says something by its own name and time."""
        self.assertFalse(lines_of(b"subproxy-init: hello\n[0.5] subproxy-init: [0.50] x\n").init)
        found = lines_of(b"subproxy-init: [3.20] starting python\n")
        self.assertTrue(found.init)
        found.restarted()
        self.assertFalse(found.init)

    def test_the_last_lines(self) -> None:
        lines = lines_of(b"one\r\ntw", b"o\n\n  \nthr")
        self.assertEqual(lines.last(), ("one", "two", "thr"))
        lines.feed(b"".join(b"%d\n" % each for each in range(100)))
        self.assertEqual(lines.last(), tuple(map(str, range(100 - KEPT, 100))))

    def test_what_steers_a_terminal(self) -> None:
        lines = lines_of("\x1b[1;31mred\x1b[0m \x07 é\n".encode())
        self.assertEqual(lines.last(), (r"red \x07 \xc3\xa9",))

    def test_a_panic(self) -> None:
        lines = lines_of(b"Linux\n", PANIC)
        self.assertEqual(lines.panic, "Kernel panic - not syncing: VFS: Unable to mount root fs")
        lines.feed(b"Kernel panic - not syncing: another\n")
        self.assertIn("VFS", lines.panic)
        lines.restarted()
        self.assertEqual(lines.panic, "")
        self.assertEqual(lines.last()[0], "Linux")

    def test_an_application_that_shows_a_panic(self) -> None:
        """Somewhere in a line it is somebody's quotation."""
        lines = lines_of(b"GET /logs?q=[ 1.0] Kernel panic - not syncing: x\n")
        self.assertEqual(lines.panic, "")

    def test_what_init_says(self) -> None:
        lines = lines_of(b"subproxy-init: [3.20] the application ended with status 3\n")
        self.assertEqual(lines.status, "the application ended with status 3")

    def test_an_initramfs_that_is_broken(self) -> None:
        lines = lines_of(b"[    0.5] Initramfs unpacking failed: broken padding\n")
        self.assertEqual(lines.unpacking, "Initramfs unpacking failed: broken padding")

    @given(st.lists(PIECES))
    def test_bounds(self, pieces: list[bytes]) -> None:
        """However it comes, what is kept is printable, of few lines, and short."""
        lines = lines_of(*pieces)
        last = lines.last()
        self.assertLessEqual(len(last), KEPT)
        for line in (*last, lines.panic, lines.status, lines.unpacking):
            self.assertTrue(line.isascii() and (line.isprintable()))
            self.assertLessEqual(len(line), 4 * LONGEST)

    @given(st.binary(), st.integers(0, 300))
    def test_pieces_are_one(self, data: bytes, at: int) -> None:
        self.assertEqual(lines_of(data).last(), lines_of(data[:at], data[at:]).last())
