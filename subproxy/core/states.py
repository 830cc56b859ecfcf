"""
State machines as tables: for each state, those that may follow it.

A machine is an enumeration of its states and a L{TransitionTable}; who is in a state keeps it in
one attribute, which only the table's L{move<TransitionTable.move>} changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Generic, TypeVar

State = TypeVar("State", bound=Enum)


class TransitionTable(Mapping[State, frozenset[State]], Generic[State]):
    """
    For each state, those that may follow it.

    @param rows: all states, the first one first.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Mapping[State, Iterable[State]]) -> None:
        self._rows = {state: frozenset(after) for state, after in rows.items()}

    def __getitem__(self, state: State) -> frozenset[State]:
        return self._rows[state]

    def __iter__(self) -> Iterator[State]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def move(self, state: State, after: State) -> State:
        """
        C{after}, if it may follow C{state}.

        @raise AssertionError: it may not: a bug of ours.
        """
        if after not in self._rows[state]:
            raise AssertionError(f"{state} to {after}")
        return after

    def diagram(self) -> str:
        """The table as a Mermaid state diagram, for the docs: the states in their order."""
        lines = ["stateDiagram-v2", f"    [*] --> {next(iter(self._rows)).name}"]
        for state, after in self._rows.items():
            lines += [f"    {state.name} --> {each.name}" for each in self._rows if each in after]
            if not after:
                lines.append(f"    {state.name} --> [*]")
        return "\n".join(lines) + "\n"
