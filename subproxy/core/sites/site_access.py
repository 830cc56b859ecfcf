"""Who is let in to a private site, whatever else its rules say."""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from subproxy.core.http.cgi_name import cgi_name
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.sites.access_question import AccessQuestion
from subproxy.core.sites.basic_auth import (
    CHALLENGE,
    USER_FIELD,
    PasswordQuestion,
    SiteUsers,
    credentials,
)
from subproxy.core.sites.forward_auth import AuthService, service_question
from subproxy.core.sites.link_token import (
    cookie,
    target_without_token,
    tokens_of_cookies,
    tokens_of_target,
    without_cookie,
)
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.errors import Forbidden, LinkRefused, ProxyError
from subproxy.wire.values import value_class

if TYPE_CHECKING:
    from subproxy.core.sites.signed_links import Link, LinkKeys

METHODS_TO_SEE: Final = (b"GET", b"HEAD")
"""Methods of which a redirect is followed by a GET (303); others are repeated as they are (307)."""


@value_class
class SiteAccess:
    """
    The ways in: any one of them lets a client in, and without one nobody is.

    @ivar public: everybody is; but a wider site has ways in, whose secrets come here too, and are
        not for the application.
    @ivar links: who has a signed link.
    @ivar users: who knows the password of one of them.
    @ivar service: whom a service lets in; it is asked after all others.
    @ivar paths: those of the site, without a final slash: no cookie goes to what is above them.
    @ivar wider: who is let in to wider sites of the host, by users or a service. Browsers send
        passwords to what is below, too, and an application may be the same there.
    """

    public: bool = False
    links: LinkKeys | None = None
    paths: tuple[bytes, ...] = ()
    users: SiteUsers | None = None
    service: AuthService | None = None
    wider: tuple[SiteAccess, ...] = field(default=(), compare=False)

    def decide(
        self, request: RequestHead, wall: float
    ) -> ProxyError | LocalAnswer | AccessQuestion | None:
        """
        What C{request} gets instead of being passed on, or what has to be asked; or None.

        @param wall: seconds since the epoch.
        """
        if request.passthrough:
            # It is TLS between client and guest: nothing that could let it in is seen here.
            return None if self.public else Forbidden()
        tokens = tokens_of_target(request.target)
        if self.links is None:
            asks = self.users is not None or self.service is not None
            if tokens and request.upgrade is None and (self.public or asks):
                # Of a wider site. A page of this address would tell it to others, by Referer.
                return _without_token(request, [])
        else:
            for token in tokens or tokens_of_cookies(request.headers):
                link = self.links.read(token, wall)
                if link is None or not link.opens(request.host, request.path):
                    continue
                if not tokens or request.upgrade is not None:
                    # A client does not follow where a WebSocket is sent on to.
                    return None
                return self._remember(token, link, request, wall)
            if tokens:
                return LinkRefused()
        if self.public:
            return None
        if self.users is not None:
            told = credentials(request.headers)
            if told is not None:
                return PasswordQuestion(self.users, *told, request.client)
        if self.service is not None:
            return service_question(self.service, self._without_ours(request))
        if self.users is not None:
            return CHALLENGE
        return Forbidden() if self.links is None else LinkRefused()

    def logged(self, request: RequestHead) -> RequestHead:
        """C{request} without the token of its address, which nobody else is to read."""
        target = target_without_token(request.target)
        return request if target == request.target else replace(request, target=target)

    def forwarded(self, request: RequestHead) -> RequestHead:
        """C{request} as an application may see it: without what lets a client in here."""
        request = self._without_ours(request)
        dropped: frozenset[bytes] = frozenset()
        if self.users is not None:
            dropped = _OF_USERS
            if self.service is not None and credentials(request.headers) is None:
                # It is a token for the service, and perhaps the application.
                dropped -= {b"authorization"}
        dropped |= self._said_by_services()
        if self._is_of_wider(request.headers):
            dropped |= {b"authorization"}
        if not dropped:
            return request
        headers = [pair for pair in request.headers if cgi_name(pair[0]) not in dropped]
        return replace(request, headers=headers)

    def trailers(self, trailers: Headers) -> Headers:
        """C{trailers} of a request, as an application may see them."""
        dropped = self._said_by_services()
        return [pair for pair in trailers if cgi_name(pair[0]) not in dropped]

    def _said_by_services(self) -> frozenset[bytes]:
        """Fields that a service says to an application, and no client."""
        found: frozenset[bytes] = frozenset()
        for access in (self, *self.wider):
            if access.service is not None:
                found |= access.service.dropped
        return found

    def _is_of_wider(self, headers: Headers) -> bool:
        """Whether a client says who it is by a user of a wider site."""
        of = [access.users for access in self.wider if access.users is not None]
        told = credentials(headers) if of else None
        return told is not None and any(users.hash_of(told[0])[1] for users in of)

    def _without_ours(self, request: RequestHead) -> RequestHead:
        request = self.logged(request)
        headers = without_cookie(request.headers)
        return request if headers is request.headers else replace(request, headers=headers)

    def _remember(self, token: bytes, link: Link, request: RequestHead, wall: float) -> LocalAnswer:
        """Have the browser keep C{token}, and ask again without it in the address."""
        below = request.path + b"/"
        of_site = [each for each in self.paths if below.startswith(each + b"/")]
        path = max([link.path.encode(), *of_site], key=len)
        seconds = max(1, int(link.expires - wall))
        kept = cookie(token, path, seconds, secure=request.scheme == b"https")
        return _without_token(request, [kept])


def _without_token(request: RequestHead, fields: Headers) -> LocalAnswer:
    """Have the browser ask again without the token in its address."""
    # Two slashes in front would be another host.
    location = b"/" + target_without_token(request.target).lstrip(b"/")
    return LocalAnswer(
        303 if request.method in METHODS_TO_SEE else 307,
        [
            (b"Location", location),
            *fields,
            (b"Cache-Control", b"no-store"),
            (b"Referrer-Policy", b"no-referrer"),
        ],
    )


_OF_USERS: Final = frozenset({b"authorization", USER_FIELD.lower()})
"""Fields with what is for us, and what a client could claim to be."""


PUBLIC: Final = SiteAccess(public=True)
"""A public site below one that has links, and no more."""

NOBODY: Final = SiteAccess()
"""Of a path that two sites could be meant by, which let in others."""
