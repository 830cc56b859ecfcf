"""How one instance divides itself among the processes of a proxy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.core.process_share import ProcessShare


class ProcessShareTests(SynchronousTestCase):
    @given(st.integers(1, 100), st.integers(1, 64))
    def test_together_they_get_no_more(self, concurrency: int, processes: int) -> None:
        """And each of them gets something."""
        among = min(concurrency, processes)
        shares = [ProcessShare(index, index, among).of(concurrency) for index in range(among)]
        self.assertEqual(sum(shares), concurrency)
        self.assertGreaterEqual(min(shares), 1)

    def test_no_limit(self) -> None:
        """Is none for each; nothing has to be known before routes are registered."""
        share = ProcessShare()
        self.assertFalse(share.waits(0))
        self.assertFalse(share.welcomed({b"process": 2, b"processes": 4}, 0))
        self.assertEqual((share.process, share.among, share.of(0)), (2, 4, 0))

    def test_one_process(self) -> None:
        """All is as ever, and C{hello} says nothing of processes."""
        share = ProcessShare()
        self.assertTrue(share.waits(5))
        self.assertFalse(share.welcomed({}, 5))
        self.assertFalse(share.waits(5))
        self.assertEqual(share.hello({b"concurrency": 5}), {b"concurrency": 5})

    def test_restored(self) -> None:
        """What is told for the first time, or not at all, says nothing."""
        share = ProcessShare()
        told = [share.restored(each) for each in ({b"epoch": b"1"}, {b"epoch": b"1"})]
        self.assertEqual(told, [None, None])
        self.assertEqual(share.restored({b"epoch": b"2"}), b"2")
        self.assertIsNone(share.restored({}))
        self.assertIsNone(share.restored({b"epoch": b"3"}))

    def test_several(self) -> None:
        """What was said of the concurrency holds no longer: another connection takes its place."""
        share = ProcessShare()
        self.assertTrue(share.welcomed({b"process": 1, b"processes": 3}, 5))
        said = share.hello({b"concurrency": 5})
        self.assertEqual(said, {b"concurrency": 2, b"process": 1})
        self.assertFalse(share.welcomed({b"process": 1, b"processes": 3}, 5))
        self.assertTrue(share.welcomed({}, 5))
        self.assertEqual(share.hello({b"concurrency": 5}), {b"concurrency": 5})

    def test_one_at_a_time(self) -> None:
        """Is with one process, whatever there are."""
        share = ProcessShare()
        self.assertFalse(share.waits(1))
        self.assertFalse(share.welcomed({b"process": 1, b"processes": 3}, 1))
        self.assertEqual((share.process, share.among), (None, 1))
        self.assertEqual(share.hello({b"concurrency": 1}), {b"concurrency": 1})
