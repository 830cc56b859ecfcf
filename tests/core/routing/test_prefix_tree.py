"""Tests of subproxy.core.routing.prefix_tree."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.routing.prefix_tree import NODE, PrefixTree, _Node
from tests.rigs.core_strategies import relaxed
from tests.rigs.examples import examples

keys = st.text(alphabet="ab", max_size=6).map(str.encode)


class PrefixTreeTests(SynchronousTestCase):
    """C{PrefixTree}."""

    def test_empty(self) -> None:
        tree: PrefixTree[int] = PrefixTree()
        self.assertFalse(tree)
        self.assertEqual((tree.find(b"a"), tree.worst), ([], NODE))

    def test_the_shortest_key_comes_first(self) -> None:
        tree = filled({b"abc": 1, b"": 1, b"abd": 1, b"ab": 1, b"b": 1})
        self.assertEqual(tree.find(b"abcd"), [[b""], [b"ab"], [b"abc"]])
        self.assertEqual(tree.find(b"ab"), [[b""], [b"ab"]])
        self.assertEqual(tree.find(b"x"), [[b""]])

    def test_the_costliest_way_counts(self) -> None:
        tree = filled({b"a": 10, b"ab": 20, b"ac": 50, b"b": 55})
        self.assertEqual(tree.worst, 10 + 50 + 3 * NODE)
        tree.get(b"ac").remove(b"ac")
        tree.change(b"ac", -50)
        self.assertEqual(tree.worst, 10 + 20 + 3 * NODE)
        tree.change(b"b", 1000)
        self.assertEqual(tree.worst, 1055 + 2 * NODE)

    def test_a_part_in_common_is_one_more_step(self) -> None:
        """Also of the costly one, where what is added costs nothing."""
        tree = filled({b"abc": 1000})
        self.assertEqual(tree.worst, 1000 + 2 * NODE)
        tree.add(b"abd", 0).append(b"abd")
        self.assertEqual(tree.worst, 1000 + 3 * NODE)

    @given(st.lists(keys, max_size=12, unique=True), keys)
    @settings(relaxed, max_examples=examples(200))
    def test_a_text_meets_the_keys_that_it_begins_with(
        self, some: list[bytes], text: bytes
    ) -> None:
        tree = filled(dict.fromkeys(some, 1))
        expected = sorted(
            ([key] for key in some if text.startswith(key)), key=lambda one: len(one[0])
        )
        self.assertEqual(tree.find(text), expected)


def filled(costs: dict[bytes, int]) -> PrefixTree[bytes]:
    tree: PrefixTree[bytes] = PrefixTree()
    for key, cost in costs.items():
        tree.add(key, cost).append(key)
    return tree


class AnyHistory(RuleBasedStateMachine):
    """After any history the tree is as if it had been filled with what is left."""

    def __init__(self) -> None:
        super().__init__()
        self.tree: PrefixTree[int] = PrefixTree()
        self.there: dict[bytes, list[int]] = {}

    @rule(key=keys, cost=st.integers(0, 5000))
    def add(self, key: bytes, cost: int) -> None:
        """One more value."""
        self.tree.add(key, cost).append(cost)
        self.there.setdefault(key, []).append(cost)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """One less."""
        key = data.draw(st.sampled_from(sorted(self.there)))
        cost = data.draw(st.sampled_from(self.there[key]))
        self.tree.get(key).remove(cost)
        self.tree.change(key, -cost)
        self.there[key].remove(cost)
        if not self.there[key]:
            del self.there[key]

    @invariant()
    def it_is_as_if_new(self) -> None:
        """The same shape, the same costs, and no node that nobody needs."""
        new: PrefixTree[int] = PrefixTree()
        for key, costs in self.there.items():
            new.add(key, sum(costs)).extend(costs)
        assert shape(self.tree._root) == shape(new._root)


def shape(node: _Node[int]) -> tuple[object, ...]:
    """All that is known of a node, and below it."""
    children = sorted((key, shape(child)) for key, child in node.children.items())
    for key, child in node.children.items():
        assert child.parent is node
        assert child.edge[0] == key
    return node.edge, node.cost, node.total, sorted(node.values), children


AnyHistoryTests = AnyHistory.TestCase
AnyHistoryTests.settings = settings(relaxed, max_examples=examples(60), stateful_step_count=30)
