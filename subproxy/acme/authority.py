"""
One authority that speaks ACME, by certbot's library C{acme}. All calls block: for a thread.

What the library wants and does not say: deadlines are naive, and the times of C{renewal_time} are
naive or not, so that only their timestamps are looked at; a key whose account is known raises
C{ConflictError}; an authority may choose any profile where none is named.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from subproxy.acme.authority_client import client_class
from subproxy.acme.challenge_answers import ChallengeAnswers
from subproxy.acme.dns_hook import DnsHook, DnsHookError
from subproxy.acme.files import AcmeFiles

PATIENCE: Final = 180
"""Seconds that an order may take, validation included."""

AGENT: Final = "subproxy"

CURVE: Final = "secp256r1"
"""That of the keys of accounts, as C{cryptography} calls it: P-256."""

NEEDED: Final = ("newNonce", "newAccount", "newOrder")
"""What a directory has to name (RFC 8555 section 7.1.1)."""


class OrderFailed(Exception):
    """
    There is no certificate; the text says why.

    @ivar limited: the authority was asked too often.
    """

    def __init__(self, reason: str, limited: bool = False) -> None:
        super().__init__(reason)
        self.limited = limited


class Authority:
    """
    One authority.

    @param directory: the URL of its directory.
    @param email: whom it writes to; empty for nobody.
    @param files: where the key of our account is kept.
    @param tokens: gets the answers to challenges of HTTP (http-01), by token, while they are asked.
    @param hook: meets those of DNS; None: wildcards cannot be had.
    @param profile: of certificates; empty for the authority's own choice.
    """

    def __init__(
        self,
        directory: str,
        email: str,
        files: AcmeFiles,
        tokens: ChallengeAnswers,
        hook: DnsHook | None = None,
        profile: str = "",
    ) -> None:
        self._directory = directory
        self._email = email
        self._files = files
        self._tokens = tokens
        self._hook = hook
        self._profile = profile
        self._client: Any = None
        self._key: Any = None

    def order(self, name: str) -> bytes:
        """
        A certificate for C{name}, with its chain and a new key, in PEM.

        @raise OrderFailed: there is none.
        """
        from acme.errors import Error
        from acme.messages import Error as Problem
        from josepy.errors import Error as Malformed
        from requests import RequestException

        try:
            try:
                return self._order(name)
            except Problem as error:
                if error.code != "accountDoesNotExist":
                    raise
                # It has forgotten us: we introduce ourselves anew, with the key that we have.
                self._client = None
                return self._order(name)
        except Problem as error:
            text = error.detail or error.description or str(error.typ)
            raise OrderFailed(str(text), str(error.typ).endswith(":rateLimited")) from error
        except (Error, Malformed, RequestException, DnsHookError, OSError, ValueError) as error:
            raise OrderFailed(said(error)) from error

    def renewal(self, pem: bytes) -> tuple[float | None, float]:
        """
        When a certificate is to be renewed, and when to ask again (ARI, RFC 9773).

        @return: seconds since the epoch; None where the authority does not say.
        @raise OrderFailed: it cannot be asked.
        """
        from acme.errors import Error
        from josepy.errors import Error as Malformed
        from requests import RequestException

        try:
            when, again = self._ready().renewal_time(pem)
        except (Error, Malformed, RequestException, OSError, ValueError) as error:
            raise OrderFailed(said(error)) from error
        return None if when is None else when.timestamp(), again.timestamp()

    def _ready(self) -> Any:
        """The client, with an account."""
        if self._client is None:
            from acme import client, errors, messages
            from josepy.jwa import ES256
            from josepy.jwk import JWKEC

            key = JWKEC(key=self._account_key())
            net = client.ClientNetwork(key, alg=ES256, user_agent=AGENT)
            made = client_class()(self._read_directory(net), net)
            asked = messages.NewRegistration.from_data(
                email=self._email or None, terms_of_service_agreed=True
            )
            try:
                made.new_account(asked)
            except errors.ConflictError as error:
                net.account = messages.RegistrationResource(
                    uri=error.location, body=messages.Registration()
                )
            self._client, self._key = made, key
        return self._client

    def _read_directory(self, net: Any) -> Any:
        from acme import client

        try:
            directory = client.ClientV2.get_directory(self._directory, net)
            for name in NEEDED:
                directory[name]
        except (AttributeError, KeyError, TypeError):
            raise OrderFailed(f"{self._directory} is no directory of ACME") from None
        return directory

    def _account_key(self) -> Any:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        pem = self._files.account(self._directory)
        if pem is None:
            pem = _new_key()
            self._files.keep_account(self._directory, pem)
        try:
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != CURVE:
            path = self._files.account_path(self._directory)
            raise OrderFailed(f"{path} holds no key of an account, a plain one of P-256")
        return key

    def _order(self, name: str) -> bytes:
        from acme.crypto_util import make_csr

        client = self._ready()
        key = _new_key()
        csr = make_csr(key, [name])
        order = client.new_order(csr, self._profile or None)
        undo: list[Callable[[], object]] = []
        try:
            for authorization in order.authorizations:
                if authorization.body.status.name != "valid":
                    self._meet(client, authorization, undo)
            # Naive, as the library compares it.
            deadline = datetime.now() + timedelta(seconds=PATIENCE)
            done = client.poll_and_finalize(order, deadline)
        finally:
            for each in undo:
                each()
        chain: str = done.fullchain_pem
        return chain.encode("ascii") + key

    def _meet(self, client: Any, authorization: Any, undo: list[Callable[[], object]]) -> None:
        """Meet one challenge, and say so; C{undo} gets what is to be done when it is over."""
        body = authorization.body
        kind = "dns-01" if body.wildcard else "http-01"
        found = [each for each in body.challenges if each.chall.typ == kind]
        if not found:
            raise OrderFailed(f"the authority offers no challenge {kind}")
        challenge = found[0]
        response, validation = challenge.response_and_validation(self._key)
        if kind == "http-01":
            token = challenge.chall.encode("token").encode("ascii")
            self._tokens[token] = validation.encode("ascii")
            undo.append(lambda: self._tokens.pop(token, None))
        else:
            hook = self._hook
            if hook is None:
                raise OrderFailed("a wildcard wants a program for DNS (--acme-dns-hook)")
            where = challenge.chall.validation_domain_name(body.identifier.value)
            # Also where it fails: it may be the wait for name servers that did.
            undo.append(lambda: _quietly(hook, where, validation))
            hook.add(where, validation)
        client.answer_challenge(challenge, response)


def _quietly(hook: DnsHook, where: str, value: str) -> None:
    """A record that stays does no harm to an order."""
    try:
        hook.remove(where, value)
    except DnsHookError:
        pass


def _new_key() -> bytes:
    """A key, in PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def said(error: BaseException) -> str:
    """What an error says to a person; that of a failed validation is in its authorizations."""
    from acme.errors import ClientError, TimeoutError, ValidationError
    from requests import Response

    if isinstance(error, TimeoutError):
        return f"the authority was not done with it within {PATIENCE} seconds"
    if isinstance(error, ClientError) and error.args and isinstance(error.args[0], Response):
        return f"{error.args[0].url} answers with status {error.args[0].status_code}"
    if isinstance(error, ValidationError):
        problems = [
            challenge.error
            for each in error.failed_authzrs
            for challenge in each.body.challenges
            if challenge.error is not None
        ]
        why = f": {problems[0].detail}" if problems else ""
        return f"the host could not be validated{why}"
    return str(error) or type(error).__name__
