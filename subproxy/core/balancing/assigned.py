"""What an operator has said of subscribers by name: weights, and who is to get nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from subproxy.core.balancing.member import Member, member_name

Value = TypeVar("Value")


class ByName(Generic[Value]):
    """
    Values by name: that of an identity, of an application of it, or of one of its workers.

    The longest name that fits decides.
    """

    __slots__ = ("_given",)

    def __init__(self) -> None:
        self._given: dict[str, Value] = {}

    @property
    def given(self) -> dict[str, Value]:
        """All of them."""
        return dict(self._given)

    def restore(self, given: Mapping[str, Value]) -> None:
        """These are all, as L{given} has told them."""
        self._given = dict(given)

    def set(self, name: str, value: Value | None) -> None:
        """That of C{name}; None: none."""
        if value is None:
            self._given.pop(name, None)
        else:
            self._given[name] = value

    def forget_below(self, name: str) -> None:
        """There is none for C{name}, nor for any part of it."""
        for each in [each for each in self._given if f"{each}/".startswith(f"{name}/")]:
            del self._given[each]

    def of(self, member: Member) -> Value | None:
        """That of C{member}; None for none."""
        if not self._given:
            return None
        names = member_names(member)
        return next((self._given[each] for each in names if each in self._given), None)


def member_names(member: Member) -> tuple[str, str, str]:
    """All names that fit C{member}, the longest first."""
    whole = member_name(member)
    application = whole.rpartition("/")[0]
    return whole, application, application.rpartition("/")[0]


class Assigned:
    """
    What was said, kept while the proxy runs, over a reload and a hand-over too, so that it holds
    for who dials again.

    @ivar weights: in place of those that guests ask for; 1.0 is usual.
    """

    __slots__ = ("_drained", "weights")

    def __init__(self) -> None:
        self.weights: ByName[float] = ByName()
        self._drained: ByName[bool] = ByName()

    def drain(self, name: str, drained: bool) -> bool:
        """
        All of that name are to get nothing new; or may again.

        @return: whether anything else was said of it before.
        """
        before = self._drained.given
        self._drained.forget_below(name)
        wider = (each for each in self._drained.given if name.startswith(f"{each}/"))
        if drained or any(wider):
            self._drained.set(name, drained)
        return self._drained.given != before

    def drains(self, member: Member) -> bool:
        """Whether C{member} is to get nothing new."""
        return bool(self._drained.of(member))

    @property
    def plain(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {"weights": self.weights.given, "drained": self._drained.given}

    def restore(self, plain: Mapping[str, Any]) -> None:
        """This is all, as L{plain} has told it."""
        self.weights.restore(plain.get("weights", {}))
        self._drained.restore(plain.get("drained", {}))
