"""
A handshake in memory, with Python's C{ssl} as the client, before a TLS library is used: what was
found under the right names has been seen to work then, on this very machine.
"""

from __future__ import annotations

import ssl
from typing import Any

from twisted.internet.protocol import Protocol

from subproxy.frontend.tls.certificate import CertificateError, read_certificate
from subproxy.frontend.tls.interfaces import ITlsEngine, LibraryUnavailable


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


def try_library(engine: ITlsEngine) -> None:
    """
    Shake hands in memory, and send something there and back.

    @raise LibraryUnavailable: it can't.
    """
    try:
        try_out(engine)
    except (ssl.SSLError, CertificateError, AssertionError) as error:
        raise LibraryUnavailable(f"a handshake by {engine.name} fails: {error}") from None


def try_out(engine: ITlsEngine) -> None:
    """
    The trial itself.

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
