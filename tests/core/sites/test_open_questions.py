"""How many questions about clients are open at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.sites.open_questions import OpenQuestions


class OpenQuestionsTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from([b"a", b"b", b"c"])), max_size=60))
    def test_never_more_than_may_be(self, steps: list[tuple[bool, bytes]]) -> None:
        """Neither in all nor of one; who is refused counts for nothing, and nobody is kept."""
        questions, opened = OpenQuestions(4, 2), {b"a": 0, b"b": 0, b"c": 0}
        for begins, client in steps:
            if begins:
                room = sum(opened.values()) < 4 and opened[client] < 2
                self.assertIs(questions.begin(client), room)
                opened[client] += room
            elif opened[client]:
                opened[client] -= 1
                questions.end(client)
            self.assertEqual(questions.count, sum(opened.values()))
        for client, count in opened.items():
            for _ in range(count):
                questions.end(client)
        self.assertEqual(dict(questions._of_client), {})
        self.assertTrue(all(questions.begin(client) for client in opened))
