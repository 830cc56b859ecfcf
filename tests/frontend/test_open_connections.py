"""The connections of clients that are open."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.open_connections import OpenConnection, OpenConnections


class Open:
    """A connection."""

    deadline = 0.0
    busy = False

    def deadline_passed(self, now: float) -> None:
        raise NotImplementedError

    def close_if_idle(self) -> None:
        raise NotImplementedError

    def abort(self) -> None:
        raise NotImplementedError


class OpenConnectionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.watched: set[OpenConnection] = set()
        self.emptied = 0

        def emptied() -> None:
            self.emptied += 1

        self.connections = OpenConnections(self.watched, 2, emptied)

    def test_one_too_many_is_refused(self) -> None:
        one, two, three = Open(), Open(), Open()
        self.assertTrue(self.connections.opened(one))
        self.assertTrue(self.connections.opened(two))
        self.assertFalse(self.connections.opened(three))
        self.assertEqual(self.watched, {one, two})
        self.connections.closed(one)
        self.assertTrue(self.connections.opened(three))

    def test_the_last_one_is_told(self) -> None:
        """And who has another protocol in its place is not gone."""
        one, two = Open(), Open()
        self.connections.opened(one)
        self.connections.replaced(one, two)
        self.connections.left(two)
        self.connections.opened(one)
        self.assertEqual(self.emptied, 0)
        self.connections.closed(one)
        self.assertEqual((self.emptied, len(self.connections)), (1, 0))

    def test_active(self) -> None:
        one, two = Open(), Open()
        one.busy = True
        self.connections.opened(one)
        self.connections.opened(two)
        self.assertEqual(self.connections.active, 1)
        for each in self.connections:
            self.connections.closed(each)
        self.assertEqual(self.connections.active, 0)
