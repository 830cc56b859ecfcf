"""Enumerations of states."""

from __future__ import annotations

from enum import Enum, auto

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.fast_enum import fast_enum


@fast_enum
class Colour(Enum):
    RED = auto()
    BLUE = auto()


class FastEnumTests(SynchronousTestCase):
    def test_it_is_an_enumeration(self) -> None:
        self.assertEqual(list(Colour), [Colour.RED, Colour.BLUE])
        self.assertIs(Colour["RED"], Colour.RED)
        self.assertIs(Colour(1), Colour.RED)
        self.assertEqual((Colour.BLUE.name, Colour.BLUE.value), ("BLUE", 2))
        self.assertEqual({Colour.RED: 1, Colour.BLUE: 2}[Colour.BLUE], 2)
        self.assertEqual(str(Colour.RED), "Colour.RED")

    def test_members_are_plain_attributes(self) -> None:
        self.assertIs(vars(Colour)["RED"], Colour.RED)
        self.assertEqual(hash(Colour.RED), object.__hash__(Colour.RED))
