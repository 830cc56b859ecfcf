"""Tests for L{guest.core.route}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.core.route import Registrations, RegistrationState, Route


class RouteTests(SynchronousTestCase):
    """What is shown of a route."""

    def test_text(self) -> None:
        self.assertEqual(str(Route(rb"blog\.example")), r"host=blog\.example path=/.*")


class RegistrationsTests(SynchronousTestCase):
    """The table of one connection."""

    def test_references_grow(self) -> None:
        table = Registrations()
        first, second = table.add(Route(b"a")), table.add(Route(b"a"))
        self.assertEqual((first.reference, second.reference, len(table)), (1, 2, 2))
        table.remove(2)
        self.assertEqual(table.add(Route(b"b")).reference, 3)
        self.assertEqual([each.reference for each in table], [1, 3])

    def test_the_latest_that_stays_is_found(self) -> None:
        table = Registrations()
        first, second = table.add(Route(b"a", b"/")), table.add(Route(b"a", b"/"))
        self.assertIs(table.find(b"a", b"/"), second)
        second.standing = RegistrationState.LEAVING
        self.assertIs(table.find(b"a", b"/"), first)
        self.assertIsNone(table.find(b"a", b"/.*"))

    def test_unknown_references(self) -> None:
        table = Registrations()
        self.assertIsNone(table.get(1))
        self.assertIsNone(table.remove(1))
