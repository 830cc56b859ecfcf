"""
What a host publishes: what is to stand in the store, what stands there, and what is to be written.

All of it stands under one lease. If that is lost, nothing stands there any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Batch:
    """
    What is written at once, or not at all.

    @ivar puts: values by key, under the lease of who writes.
    @ivar deletes: keys; what stands there under another lease stays.
    """

    puts: dict[bytes, bytes] = field(default_factory=dict)
    deletes: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.puts) + len(self.deletes)


class Publication:
    """See above."""

    def __init__(self) -> None:
        self._wanted: dict[bytes, bytes] = {}
        self._there: dict[bytes, bytes] = {}
        self._unknown: set[bytes] = set()
        self._due: dict[bytes, None] = {}

    def __len__(self) -> int:
        """How many records are to stand there."""
        return len(self._wanted)

    @property
    def pending(self) -> int:
        """How many records are not there yet as they are to be, or are there still."""
        return len(self._due)

    def want(self, key: bytes, value: bytes) -> None:
        """C{value} is to stand at C{key}."""
        self._wanted[key] = value
        self._look(key)

    def unwant(self, key: bytes) -> None:
        """Nothing is."""
        self._wanted.pop(key, None)
        self._look(key)

    def _look(self, key: bytes) -> None:
        if key not in self._unknown and self._wanted.get(key) == self._there.get(key):
            self._due.pop(key, None)
        else:
            self._due.setdefault(key)

    def next(self, most: int) -> Batch:
        """What is to be written next, at most so many records, the longest due first."""
        puts: dict[bytes, bytes] = {}
        deletes: list[bytes] = []
        for key in self._due:
            if len(puts) + len(deletes) == most:
                break
            value = self._wanted.get(key)
            if value is None:
                deletes.append(key)
            else:
                puts[key] = value
        return Batch(puts, tuple(deletes))

    def written(self, batch: Batch) -> None:
        """C{batch} was written; meanwhile other things may be wanted."""
        self._unknown -= {*batch.puts, *batch.deletes}
        self._there.update(batch.puts)
        for key in batch.deletes:
            self._there.pop(key, None)
        for key in (*batch.puts, *batch.deletes):
            self._look(key)

    def uncertain(self, batch: Batch) -> None:
        """Whether C{batch} was written nobody knows: what it had is due whatever is wanted."""
        for key in (*batch.puts, *batch.deletes):
            self._unknown.add(key)
            self._due.setdefault(key)

    def lost(self) -> None:
        """The lease is gone, and all that stood under it."""
        self._there.clear()
        self._unknown.clear()
        self._due = dict.fromkeys(self._wanted)
