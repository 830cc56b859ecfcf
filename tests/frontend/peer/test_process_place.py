"""Which processes of two hosts have a connection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.process_place import ProcessPlace, process_wanted, server_name

COUNT = st.integers(1, 40)


class ProcessPlaceTests(SynchronousTestCase):
    @given(COUNT, COUNT)
    def test_everybody_has_one(self, serving: int, asking: int) -> None:
        """Each that serves dials, each that asks is dialled, and no more than that needs."""
        pairs = [
            (process, wanted % asking)
            for process in range(serving)
            for wanted in ProcessPlace(process, serving).dials(asking)
        ]
        self.assertEqual({one for one, _ in pairs}, set(range(serving)))
        self.assertEqual({other for _, other in pairs}, set(range(asking)))
        self.assertEqual(len(pairs), max(serving, asking))

    @given(st.integers(0, 99_999))
    def test_names(self, process: int) -> None:
        """What is said is understood."""
        self.assertEqual(process_wanted(server_name(process, "kvm-1")), process)

    @given(st.one_of(st.none(), st.binary()))
    def test_other_names(self, name: bytes | None) -> None:
        """Whatever else somebody says, some process gets him."""
        self.assertGreaterEqual(process_wanted(name), 0)

    def test_examples(self) -> None:
        for name in (None, b"", b"kvm-1", b"process-.kvm-1", b"process-123456.x", b"process--1.x"):
            self.assertEqual(process_wanted(name), 0)
