"""Classes of fields."""

from __future__ import annotations

import copy
from dataclasses import asdict, field, fields, replace

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.values import mixed_value_class, record_class, value_class


@value_class
class Point:
    x: int
    y: int = 0
    note: str = field(default="", compare=False, repr=False)


@value_class
class Alone:
    held: object


@value_class
class Alike:
    held: object


@value_class
class Empty:
    pass


@value_class
class Near(Point):
    z: int = 0


@value_class
class Folded:
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Folded) and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash(self.name.lower())

    def __repr__(self) -> str:
        return f"<{self.name}>"


@value_class
class Hashed:
    held: object

    def __hash__(self) -> int:
        return 7


@mixed_value_class
class Left:
    left: int = 1


@mixed_value_class
class Right:
    right: int = 2


@mixed_value_class
class Both(Left, Right):
    both: int = 3


@record_class
class Counted:
    count: int
    seen: list[int] = field(default_factory=list)
    twice: int = field(init=False)

    def __post_init__(self) -> None:
        self.twice = 2 * self.count


class ValueTests(SynchronousTestCase):
    def test_equal(self) -> None:
        """Field by field; those that are not compared may differ."""
        self.assertEqual(Point(1, 2), Point(1, y=2, note="other"))
        self.assertNotEqual(Point(1, 2), Point(2, 1))
        self.assertEqual(Empty(), Empty())
        self.assertEqual(Alone(3), Alone(3))
        self.assertNotEqual(Alone(3), Alone(4))

    def test_other_classes(self) -> None:
        """Of another class nothing is equal, a subclass and equal fields included."""
        self.assertNotEqual(Alone(3), Alike(3))
        self.assertNotEqual(Alone(3), 3)
        self.assertNotEqual(Empty(), ())
        self.assertNotEqual(Point(1, 2), Near(1, 2))

    def test_hash(self) -> None:
        found = {Point(1, 2, "a"), Point(1, 2, "b"), Point(2, 1), Alone(3), Empty(), Empty()}
        self.assertEqual(len(found), 4)

    def test_shown(self) -> None:
        self.assertEqual(repr(Point(1, note="secret")), "Point(x=1, y=0)")
        self.assertEqual(repr(Empty()), "Empty()")
        self.assertEqual(repr(Near(1, z=3)), "Near(x=1, y=0, z=3)")

    def test_own_methods_stay(self) -> None:
        self.assertEqual({Folded("A"), Folded("a")}, {Folded("a")})
        self.assertEqual(repr(Folded("A")), "<A>")
        self.assertEqual(hash(Hashed([])), 7)
        self.assertEqual(Hashed([]), Hashed([]))

    def test_helpers_of_dataclasses(self) -> None:
        self.assertEqual([each.name for each in fields(Point)], ["x", "y", "note"])
        self.assertEqual(replace(Point(1, 2), x=3), Point(3, 2))
        self.assertEqual(asdict(Alone(Point(1))), {"held": {"x": 1, "y": 0, "note": ""}})
        self.assertEqual(copy.deepcopy(Alone(Point(1))), Alone(Point(1)))
        match Point(1, 2):
            case Point(x, y):
                self.assertEqual((x, y), (1, 2))

    def test_several_bases(self) -> None:
        self.assertEqual(repr(Both(left=4)), "Both(right=2, left=4, both=3)")
        self.assertNotEqual(Both(left=4), Both(right=4))

    def test_no_other_attributes(self) -> None:
        with self.assertRaises(AttributeError):
            Point(1).other = 1  # type: ignore[attr-defined]


class RecordTests(SynchronousTestCase):
    def test_fields_change(self) -> None:
        counted = Counted(2)
        counted.seen.append(1)
        self.assertEqual(repr(counted), "Counted(count=2, seen=[1], twice=4)")
        self.assertNotEqual(counted, Counted(2))
        counted.seen.clear()
        self.assertEqual(counted, Counted(2))

    def test_no_hash(self) -> None:
        with self.assertRaises(TypeError):
            hash(Counted(2))
