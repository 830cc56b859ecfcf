"""Finds out who is let in, where that is not known from the request alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from subproxy.app.password_checks import PasswordChecks
from subproxy.core.sites.access_question import AccessQuestion, AccessVerdict
from subproxy.core.sites.basic_auth import PasswordQuestion


class ReactorAccessAsker:
    """
    Gives each question to who can answer it.

    @param reactor: what they run on.
    """

    def __init__(self, reactor: Any) -> None:
        self._passwords = PasswordChecks(reactor)

    def ask(
        self, question: AccessQuestion, told: Callable[[AccessVerdict], None]
    ) -> Callable[[], None]:
        """See L{subproxy.core.sites.access_question.AccessAsker}."""
        assert isinstance(question, PasswordQuestion)
        return self._passwords.ask(question, told)
