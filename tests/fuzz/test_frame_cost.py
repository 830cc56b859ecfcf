"""The search for costly frames runs; what is costly it tells to people, who run it for long."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.fuzz.search_frame_cost import FORMS, Search, bytes_of


class SearchTests(SynchronousTestCase):
    def test_a_few(self) -> None:
        """On both paths; what is found can be sent again, and is told."""
        for fast in (False, True):
            if fast and unavailable() is not None:
                continue
            search = Search(7, fast)
            search.run(40)
            self.assertEqual(search.count, 40)
            for kept in (search.by_turn, search.by_message):
                self.assertGreater(len(kept), 10)
            told = search.told()
            self.assertIn("40 inputs of ", told)
            self.assertIn("a message: ", told)

    def test_every_form_is_sent(self) -> None:
        """Whatever its number and size; the proxy takes it or ends the connection."""
        search = Search(7, False)
        for form in FORMS:
            for number, size in ((0, 0), (3, 20), (128, 1000)):
                genome = (((form, number, size, 0),), 2)
                self.assertGreater(len(bytes_of(genome, 1)), 3)
                search.one(genome)
        self.assertEqual(search.count, 3 * len(FORMS))
