"""One C{[[site]]}: hosts and paths, and what its operator said of them."""

from __future__ import annotations

from collections.abc import Mapping

from subproxy.core.access.claims import Claim
from subproxy.wire.values import value_class


@value_class
class Site:
    """
    One entry.

    @ivar claims: each of its hosts with each of its paths.
    @ivar rules: what it says, by the names of L{SiteRules}; None where it lifts what a wider site
        says.
    """

    claims: tuple[Claim, ...]
    rules: Mapping[str, object]
