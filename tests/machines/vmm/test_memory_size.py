from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.vmm.memory_size import mebibytes


class MemorySizeTests(SynchronousTestCase):
    def test_it_is_rounded_up(self) -> None:
        for size, found in ((1, 1), (1 << 20, 1), ((1 << 20) + 1, 2), (256 << 20, 256)):
            self.assertEqual(mebibytes(size), found)
