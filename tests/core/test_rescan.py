"""When a folder is looked at again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.rescan import Rescan, RescanState


class RescanTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rescan = Rescan()

    def test_closed(self) -> None:
        """Before it begins nothing asks for a look, and it may be closed again."""
        self.assertFalse(self.rescan.changed())
        self.assertFalse(self.rescan.open)
        self.rescan.close()
        self.assertIs(self.rescan.state, RescanState.CLOSED)

    def test_an_event_between_two_looks(self) -> None:
        self.rescan.begin()
        self.assertTrue(self.rescan.scanning)
        self.assertFalse(self.rescan.done())
        self.assertTrue(self.rescan.changed())
        self.assertTrue(self.rescan.changed())

    def test_an_event_during_a_look(self) -> None:
        """It asks for another one, once, however often it comes."""
        self.rescan.begin()
        self.assertFalse(self.rescan.changed())
        self.assertFalse(self.rescan.changed())
        self.assertTrue(self.rescan.done())
        self.rescan.begin()
        self.assertFalse(self.rescan.done())

    def test_closed_during_a_look(self) -> None:
        """That one is the last, whatever has happened; then it may begin anew."""
        for event in (False, True):
            self.rescan.begin()
            if event:
                self.rescan.changed()
            self.rescan.close()
            self.assertEqual((self.rescan.open, self.rescan.scanning), (False, True))
            self.assertFalse(self.rescan.changed())
            self.assertFalse(self.rescan.done())
            self.assertIs(self.rescan.state, RescanState.CLOSED)

    def test_two_looks_at_once(self) -> None:
        self.rescan.begin()
        self.assertRaises(AssertionError, self.rescan.begin)

    @given(st.lists(st.sampled_from(["changed", "look", "close"]), max_size=30))
    def test_nothing_is_missed(self, events: list[str]) -> None:
        """Whatever happened is followed by a look that began behind it, unless it was closed."""
        rescan = Rescan()
        rescan.begin()
        unseen = False
        for event in events:
            if event == "changed":
                unseen = rescan.changed() or rescan.state is RescanState.DIRTY
            elif event == "close":
                rescan.close()
            elif rescan.scanning:
                soon = rescan.done()
                self.assertEqual(soon, unseen and rescan.open)
            elif rescan.open:
                rescan.begin()
                unseen = False
