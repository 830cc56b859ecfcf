"""What is left out of an image."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.image.prune import GROUPS, Pruning


class PruningTests(SynchronousTestCase):
    def test_what_programs_need_stays(self) -> None:
        pruning = Pruning()
        for path in (
            "asyncio/base_events.py",
            "encodings/utf_8.py",
            "encodings/cp1252.py",
            "encodings/cp437.py",
            "encodings/iso8859_1.py",
            "encodings/iso8859_15.py",
            "encodings/idna.py",
            "lib-dynload/_ctypes.cpython-311-x86_64-linux-gnu.so",
            "twisted/internet/reactor.py",
            "twisted/web/http.py",
            "contest.py",
            "pytest.py",
            "Twisted-1.dist-info/METADATA",
        ):
            self.assertFalse(pruning.drops(path), path)

    def test_what_they_do_not_is_dropped(self) -> None:
        pruning = Pruning()
        for path in (
            "test/test_os.py",
            "twisted/internet/test/test_tcp.py",
            "encodings/cp037.py",
            "encodings/cp500.py",
            "encodings/iso8859_2.py",
            "encodings/iso8859_11.py",
            "lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so",
            "twisted/conch/ssh/keys.py",
            "twisted/py.typed.pyi",
            "httptools/parser/parser.pyx",
            "a/__pycache__/b.cpython-311.pyc",
            "Twisted-1.dist-info/RECORD",
        ):
            self.assertTrue(pruning.drops(path), path)

    def test_a_group_is_kept_by_its_name(self) -> None:
        self.assertFalse(Pruning(["ssl"]).drops("lib-dynload/_ssl.cpython-311.so"))
        self.assertFalse(Pruning(list(GROUPS)).drops("twisted/conch/ssh/keys.py"))
        with self.assertRaises(ValueError):
            Pruning(["tls"])
