"""
TLS by the system's libssl, without its headers: what is compiled, and when it may be used.

It takes 3.0 or newer, and only if a handshake in memory with Python's C{ssl} as the client passes:
what is found under the right names has been seen to work then, on this very machine.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.protocol import Protocol

from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.frontend.tls._connection import CompiledTlsConnection
from subproxy.frontend.tls._libssl import Context, load, share_ticket_keys
from subproxy.frontend.tls.certificate import Certificate, CertificateError, read_certificate
from subproxy.frontend.tls.interfaces import ITlsConnection, ITlsListener, LibraryUnavailable
from subproxy.frontend.tls.python_engine import CIPHERS, RENEW, TICKETS

POST_QUANTUM: Final = 0x30500000
"""The version since which X25519MLKEM768 is offered by default."""


class SystemEngine:
    """
    The system's libssl, see L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}.

    @raise LibraryUnavailable: there is none, or it can't be used.
    """

    renew_contexts = 0.0

    def __init__(self) -> None:
        try:
            self._version, name = load(int(RENEW))
        except OSError as error:
            raise LibraryUnavailable(f"the system's libssl can't be used: {error}") from None
        self.name = f"the system's libssl ({name})"
        try:
            try_out(self)
        except (ssl.SSLError, CertificateError, AssertionError) as error:
            raise LibraryUnavailable(f"a handshake by {self.name} fails: {error}") from None

    @property
    def lacks(self) -> tuple[str, ...]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        return () if self._version >= POST_QUANTUM else ("no X25519MLKEM768",)

    def context(
        self,
        certificate: Certificate,
        protocols: tuple[bytes, ...],
        authorities: ClientAuthorities | None = None,
    ) -> Context:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        scope = hashlib.sha256(certificate.chain[0])
        if authorities is not None:
            scope.update(authorities.digest + bytes([authorities.optional]))
        try:
            return Context(
                certificate.chain,
                certificate.key,
                b"".join(bytes([len(each)]) + each for each in protocols),
                CIPHERS.encode("ascii"),
                scope.digest(),
                TICKETS,
                int(RENEW),
                () if authorities is None else authorities.certificates,
                authorities is not None and authorities.optional,
                () if authorities is None else authorities.revoked,
            )
        except ValueError as error:
            raise CertificateError(f"the TLS library does not take it: {error}") from None

    def share_tickets(self, keys: bytes) -> None:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        share_ticket_keys(keys)

    @property
    def connect(self) -> Callable[[Context, ITlsListener], ITlsConnection]:
        """See L{ITlsEngine<subproxy.frontend.tls.interfaces.ITlsEngine>}."""
        return CompiledTlsConnection


class _Echo(Protocol):
    """Sends back what it gets."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class _Trial:
    """A listener and a socket, for one connection."""

    clock: Any = None

    def __init__(self) -> None:
        self.connections: Any = self
        self.written = b""

    def established(self, alpn: bytes | None, resumed: bool, tls: object) -> Protocol:
        assert alpn == b"trial", "ALPN"
        return _Echo()

    def failed(self, transport: Any, reason: str) -> None:
        raise AssertionError(reason)

    def left(self, connection: object) -> None:
        pass

    def write(self, data: bytes) -> None:
        self.written += data

    def loseConnection(self) -> None:
        pass

    def take(self) -> bytes:
        data, self.written = self.written, b""
        return data


def try_out(engine: SystemEngine) -> None:
    """
    Shake hands in memory, and send something there and back.

    @raise ssl.SSLError: the client does not understand.
    @raise AssertionError: something else is not as it should be.
    """
    trial = _Trial()
    context = engine.context(read_certificate(_self_signed()), (b"trial",))
    server: Any = engine.connect(context, trial)
    server.makeConnection(trial)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False
    client_context.verify_mode = ssl.CERT_NONE
    client_context.set_alpn_protocols(["trial"])
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(into, out)
    for _ in range(4):
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        server.dataReceived(out.read())
        into.write(trial.take())
    said = bytes(range(256)) * 200
    client.write(said)
    server.dataReceived(out.read())
    into.write(trial.take())
    heard = b""
    while len(heard) < len(said):
        heard += client.read(65536)
    assert heard == said, "not what was sent"


def _self_signed() -> bytes:
    from datetime import datetime, timedelta, timezone

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "trial")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM) + key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
