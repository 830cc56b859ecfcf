"""The weights that an operator has given, in place of those that guests ask for."""

from __future__ import annotations

from collections.abc import Mapping

from subproxy.core.balancing.member import Member, member_name


class AssignedWeights:
    """
    Weights by name: that of an identity, of an application of it, or of one of its workers.

    They are kept while the proxy runs, over a reload and a hand-over too, so that who dials again
    has the same. The longest name that fits decides.
    """

    __slots__ = ("_by_name",)

    def __init__(self) -> None:
        self._by_name: dict[str, float] = {}

    def assign(self, name: str, weight: float | None) -> None:
        """Give those of that name C{weight}; None: what they ask for."""
        if weight is None:
            self._by_name.pop(name, None)
        else:
            self._by_name[name] = weight

    @property
    def given(self) -> dict[str, float]:
        """All of them by name: 1.0 is usual."""
        return dict(self._by_name)

    def restore(self, given: Mapping[str, float]) -> None:
        """These are all, as L{given} has told them."""
        self._by_name = dict(given)

    def of(self, member: Member) -> float | None:
        """What C{member} was given; None for nothing."""
        if not self._by_name:
            return None
        whole = member_name(member)
        application = whole.rpartition("/")[0]
        names = (whole, application, application.rpartition("/")[0])
        return next((self._by_name[each] for each in names if each in self._by_name), None)
