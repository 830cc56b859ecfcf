"""What is read of a console, over a rotation too."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.console_reading import CONSOLE_PIECE, read_console
from subproxy.machines.rotation_record import RotationRecord
from subproxy.machines.vmm.console_file import RotatedFile


class ReadConsoleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.path = Path(self.folder, "blog", "0", "console.log")
        self.path.parent.mkdir(parents=True)
        self.file = RotatedFile(self.path, 3 * CONSOLE_PIECE)
        self.addCleanup(self.file.close)
        self.place = -10
        self.whole = True

    def read(self) -> str:
        """What is new; the next one goes on from there."""
        self.found = read_console(self.folder, "blog", 0, self.place, whole=self.whole)
        self.place = self.found["next"]
        text: str = self.found["text"]
        return text

    def all(self) -> str:
        """All that is new."""
        said = self.read()
        while self.found["more"]:
            said += self.read()
        return said

    def rotate(self) -> None:
        """Begin the file anew, as the next start does."""
        self.file.close()
        self.file = RotatedFile(self.path, 3 * CONSOLE_PIECE)
        self.addCleanup(self.file.close)

    def test_on_and_on(self) -> None:
        self.file.write(b"one\n")
        self.assertEqual(self.read(), "one\n")
        self.assertEqual(self.read(), "")
        self.file.write(b"two\n")
        self.assertEqual(self.read(), "two\n")

    def test_over_a_rotation(self) -> None:
        """The rest of the file that was rotated away comes first."""
        self.file.write(b"one\n")
        self.read()
        self.file.write(b"two\n")
        self.rotate()
        self.assertEqual(self.all(), "two\n")
        self.assertFalse(self.found["lost"])
        self.file.write(b"three, which is longer than all before\n")
        self.assertEqual(self.all(), "three, which is longer than all before\n")

    def test_two_rotations(self) -> None:
        """What is gone is said to be; what is there of it is told."""
        self.file.write(b"one\n")
        self.read()
        for line in (b"two\n", b"three\n", b"four\n"):
            self.rotate()
            self.file.write(line)
        self.assertEqual(self.read(), "three\n")
        self.assertTrue(self.found["lost"])
        self.assertEqual(self.all(), "four\n")
        self.assertFalse(self.found["lost"])

    def test_the_one_before_is_gone(self) -> None:
        self.file.write(b"one\n")
        self.read()
        self.file.write(b"more\n")
        self.rotate()
        self.path.with_name("console.log.1").unlink()
        self.file.write(b"two\n")
        self.assertEqual(self.read(), "two\n")
        self.assertTrue(self.found["lost"])

    def test_much_at_once(self) -> None:
        """Who reads on misses nothing; who begins has the end."""
        self.file.write(b"begin\n")
        self.read()
        self.file.write(b"x" * (2 * CONSOLE_PIECE + 5))
        self.assertEqual(len(self.read()), CONSOLE_PIECE)
        self.assertTrue(self.found["more"])
        self.assertEqual(len(self.all()), CONSOLE_PIECE + 5)
        self.place, self.whole = 0, False
        self.assertEqual(len(self.read()), CONSOLE_PIECE)
        self.assertEqual(self.read(), "")

    def test_from_the_first(self) -> None:
        """Bytes count from the first that was ever printed, over starts."""
        self.file.write(b"one\n")
        self.rotate()
        self.file.write(b"two\n")
        self.place = 0
        self.assertEqual(self.all(), "one\ntwo\n")
        self.assertEqual(self.place, 8)
        self.place = 6
        self.assertEqual(self.read(), "o\n")

    def test_no_record(self) -> None:
        """What is none counts as none, and no link is followed."""
        self.file.write(b"one\n")
        record = Path(f"{self.path}.begin")
        for text in ("", "x", "5 3", "-1 0", "1 2 3"):
            record.write_text(text)
            self.assertEqual(RotationRecord.read(self.path), RotationRecord())
        record.unlink()
        other = self.path.with_name("other")
        RotationRecord(1, 2).write(other)
        record.symlink_to(f"{other}.begin")
        self.assertEqual(RotationRecord.read(self.path), RotationRecord())
        self.assertEqual(RotationRecord.read(other), RotationRecord(1, 2))

    def test_a_character_of_two_pieces(self) -> None:
        """It is told whole, with the second; what is none is told as it is."""
        self.place = 0
        said = "x" + "é" * CONSOLE_PIECE
        self.file.write(said.encode() + b"\xc3")
        self.assertEqual(self.all(), said + "\ufffd")

    def test_a_character_of_two_files(self) -> None:
        """Nobody waits for the rest of it."""
        self.place = 0
        self.file.write(b"\xc3")
        self.rotate()
        self.file.write(b"\xa9")
        self.assertEqual(self.all(), "\ufffd\ufffd")

    def test_a_record_of_whoever_the_folder_is(self) -> None:
        """Its numbers are none of a file's: it counts as none."""
        self.file.write(b"one\n")
        Path(f"{self.path}.begin").write_text(f"0 {10**40}\n")
        self.assertEqual(RotationRecord.read(self.path), RotationRecord())
        self.place = 10**30
        self.assertEqual(self.read(), "one\n")
