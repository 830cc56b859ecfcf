"""What has to be found out before it is known who is let in: asked of others, who take a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from subproxy.core.http.request import Headers
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.errors import ProxyError
from subproxy.wire.values import value_class


@value_class
class LetIn:
    """
    The client is.

    @ivar fields: what the application is told of it.
    """

    fields: Headers


AccessVerdict = LetIn | LocalAnswer | ProxyError
"""What comes of a question: the client is let in, or gets that."""


class AccessQuestion(Protocol):
    """A question; each kind knows what its answers mean."""

    @property
    def client(self) -> bytes:
        """Whose request it is about: an address."""


class AccessAsker(Protocol):
    """Who finds it out."""

    def ask(
        self, question: AccessQuestion, told: Callable[[AccessVerdict], None]
    ) -> Callable[[], None]:
        """
        Find it out, and call C{told} once: now, or later.

        @return: what gives it up: C{told} is not called any more.
        """
