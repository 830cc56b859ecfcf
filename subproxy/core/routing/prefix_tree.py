"""Values by the literal that a text must begin with, and the most that a text can make us look at.

A radix tree: an edge holds as many bytes as no other key parts from. The values that concern a
text stand on one way down from the root. Each value has a cost, and C{worst} is the cost of the
costliest way, kept exactly: so a table is bounded by what one text can meet in it, not by how
many values it has.
"""

from __future__ import annotations

from typing import Final, Generic, TypeVar

NODE: Final = 500
"""Nanoseconds to go down by one node, at the most."""

T = TypeVar("T")


class _Node(Generic[T]):
    """C{cost} is that of the node alone, C{total} that of the costliest way from here down."""

    __slots__ = ("children", "cost", "edge", "parent", "total", "values")

    def __init__(self, edge: bytes, parent: _Node[T] | None) -> None:
        self.edge = edge
        self.parent = parent
        self.children: dict[int, _Node[T]] = {}
        self.values: list[T] = []
        self.cost = NODE
        self.total = NODE

    def grow(self) -> None:
        """Make the totals right again above this node, whose own has grown."""
        node = self
        parent = self.parent
        while parent is not None:
            total = parent.cost + node.total
            if total <= parent.total:
                return
            parent.total = total
            node = parent
            parent = node.parent

    def settle(self) -> None:
        """Make the totals right again from here up to the root."""
        node: _Node[T] | None = self
        while node is not None:
            below = max([child.total for child in node.children.values()], default=0)
            total = node.cost + below
            if total == node.total:
                return
            node.total = total
            node = node.parent


class PrefixTree(Generic[T]):
    """Lists of values by key. The caller keeps each list in the order that it wants."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root: _Node[T] = _Node(b"", None)

    def __bool__(self) -> bool:
        return bool(self._root.children or self._root.values)

    @property
    def worst(self) -> int:
        """The greatest sum of costs, in nanoseconds, that one text can meet."""
        return self._root.total

    def find(self, text: bytes) -> list[list[T]]:
        """Return the lists of all keys that C{text} begins with, the shortest key first."""
        node = self._root
        found = [node.values] if node.values else []
        at = 0
        size = len(text)
        while at < size:
            child = node.children.get(text[at])
            if child is None or not text.startswith(child.edge, at):
                break
            at += len(child.edge)
            node = child
            if node.values:
                found.append(node.values)
        return found

    def add(self, key: bytes, cost: int) -> list[T]:
        """Return the list of C{key}, for a value of C{cost} to be put into it."""
        node = self._make(key)
        node.cost += cost
        node.total += cost
        node.grow()
        return node.values

    def get(self, key: bytes) -> list[T]:
        """Return the list of C{key}, which is in the tree."""
        return self._get(key).values

    def change(self, key: bytes, cost: int) -> None:
        """
        Add C{cost}, which may be negative, to that of C{key}; forget C{key} if it has no
        values.
        """
        node = self._get(key)
        node.cost += cost
        if node.values:
            node.settle()
        else:
            self._prune(node)

    def _get(self, key: bytes) -> _Node[T]:
        node = self._root
        at = 0
        while at < len(key):
            node = node.children[key[at]]
            at += len(node.edge)
        return node

    def _make(self, key: bytes) -> _Node[T]:
        node = self._root
        at = 0
        while at < len(key):
            child = node.children.get(key[at])
            if child is None:
                child = node.children[key[at]] = _Node(key[at:], node)
                return child
            same = _common(child.edge, key, at)
            if same < len(child.edge):
                child = self._split(child, same)
            at += same
            node = child
        return node

    def _split(self, node: _Node[T], at: int) -> _Node[T]:
        """Put a node between C{node} and its parent, behind C{at} bytes of its edge."""
        parent = node.parent
        assert parent is not None
        between: _Node[T] = _Node(node.edge[:at], parent)
        parent.children[node.edge[0]] = between
        node.edge = node.edge[at:]
        node.parent = between
        between.children[node.edge[0]] = node
        between.total = NODE + node.total
        between.grow()
        return between

    def _prune(self, node: _Node[T]) -> None:
        """Take out C{node}, which has no values, as far as it is not needed to part others."""
        parent = node.parent
        if parent is None or len(node.children) > 1:
            node.settle()
            return
        if node.children:
            (child,) = node.children.values()
            child.edge = node.edge + child.edge
            child.parent = parent
            parent.children[child.edge[0]] = child
            parent.settle()
            return
        del parent.children[node.edge[0]]
        if parent.values:
            parent.settle()
        else:
            self._prune(parent)


def _common(edge: bytes, key: bytes, at: int) -> int:
    """Return how many bytes of C{edge} stand in C{key} at C{at}."""
    if key.startswith(edge, at):
        return len(edge)
    same = 1
    most = min(len(edge), len(key) - at)
    while same < most and edge[same] == key[at + same]:
        same += 1
    return same
