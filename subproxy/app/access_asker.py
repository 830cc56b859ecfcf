"""Finds out who is let in, where that is not known from the request alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from subproxy.app.password_checks import PasswordChecks
from subproxy.core.sites.access_question import AccessQuestion, AccessVerdict
from subproxy.core.sites.basic_auth import PasswordQuestion
from subproxy.core.sites.forward_auth import ServiceQuestion

if TYPE_CHECKING:
    from subproxy.app.auth_service_client import AuthServiceClient


class ReactorAccessAsker:
    """
    Gives each question to who can answer it.

    @param reactor: what they run on.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._passwords = PasswordChecks(reactor)

    def ask(
        self, question: AccessQuestion, told: Callable[[AccessVerdict], None]
    ) -> Callable[[], None]:
        """See L{subproxy.core.sites.access_question.AccessAsker}."""
        if isinstance(question, ServiceQuestion):
            return self._services.ask(question, told)
        assert isinstance(question, PasswordQuestion)
        return self._passwords.ask(question, told)

    @cached_property
    def _services(self) -> AuthServiceClient:
        # It was imported with the file that names a service: it takes a third of a second.
        from subproxy.app.auth_service_client import AuthServiceClient

        return AuthServiceClient(self._reactor)
