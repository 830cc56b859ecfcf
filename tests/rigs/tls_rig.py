"""
Certificates for tests, and a TLS client in memory.

    authority = Authority()
    pem = authority.issue("a.example", "*.b.example")      # certificate, chain and key
    client = TlsClient(authority, "a.example")
    client.start()                                         # what it sends
    client.feed(what_the_server_said)                      # what it sends then
"""

from __future__ import annotations

import os
import ssl
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

CN = x509.NameOID.COMMON_NAME


def key_pem(key: Any) -> bytes:
    """A private key in PEM."""
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return found


def make_key(kind: str = "ec") -> Any:
    """A private key: of C{ec}, C{rsa} or C{ed25519}."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else _ec()


def _ec() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def identified(builder: Any, key: Any, issuer: Any, vouches: bool) -> Any:
    """C{builder} with what RFC 5280 section 4.2.1 wants of each: Python 3.13 and later look.

    @param vouches: whether it may sign others.
    """
    public = key.public_key()
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    vouching = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    builder = builder.add_extension(vouching, False)
    if vouches:
        uses = {**dict.fromkeys(_OTHER_USES, False), **dict.fromkeys(_USES, True)}
        builder = builder.add_extension(x509.KeyUsage(**uses), True)
    return builder


_USES = ("digital_signature", "key_cert_sign", "crl_sign")
_OTHER_USES = (
    *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("encipher_only", "decipher_only"),
)


class Authority:
    """Vouches for whatever it is asked to."""

    def __init__(self, name: str = "Authority of tests") -> None:
        self.key = _ec()
        self.name = x509.Name([x509.NameAttribute(CN, name)])
        self.certificate = self._builder(self.name, self.key, -1, 100).sign(
            self.key, hashes.SHA256()
        )
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def _builder(self, name: x509.Name, key: Any, begin: float, end: float) -> Any:
        now = datetime.now(timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=begin))
            .not_valid_after(now + timedelta(days=end))
            .add_extension(x509.BasicConstraints(name == self.name, None), True)
        )
        return identified(builder, key, self.key, name == self.name)

    def certify(
        self,
        *names: str,
        key: Any,
        begin: float = -1,
        end: float = 90,
        common: str = "",
    ) -> bytes:
        """
        A certificate for C{names} (hosts, wildcards, IP addresses) from day to day, in PEM.

        If it has no C{common} name, its names are critical (RFC 5280 section 4.2.1.6): Java reads
        no other.
        """
        subject = x509.Name([x509.NameAttribute(CN, common)] if common else [])
        builder = self._builder(subject, key, begin, end)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(each) for each in names]), not common
            )
        found: bytes = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return found

    def issue(self, *names: str, **options: Any) -> bytes:
        """Certificate, chain and key in one, in PEM."""
        key = options.pop("key", None) or make_key(options.pop("kind", "ec"))
        return self.certify(*names, key=key, **options) + self.pem + key_pem(key)

    def revoke(self, *pems: bytes, begin: float = -1, end: float = 7) -> bytes:
        """A list that says that these certificates of its are revoked, from day to day, in PEM."""
        now = datetime.now(timezone.utc)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now + timedelta(days=begin))
            .next_update(now + timedelta(days=end))
        )
        for pem in pems:
            number = x509.load_pem_x509_certificate(pem).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now)
            builder = builder.add_revoked_certificate(entry.build())
        found: bytes = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return found

    def client_context(self, protocols: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
        """A context of a client that believes this authority."""
        context = ssl.create_default_context(cadata=self.pem.decode())
        # Debian 12's Python 3.11.2 sets it: what is cut short would look whole (gh-95494).
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def show_certificate(context: ssl.SSLContext, pem: bytes) -> ssl.SSLContext:
    """Let a client with C{context} show that certificate."""
    file = os.memfd_create("client")
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
    return context


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class TlsClient:
    """
    A client without a socket.

    @ivar received: the plain text that it got.
    @ivar closed: the server has said that it sends no more.
    """

    def __init__(
        self,
        authority: Authority,
        host: str | None,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        context = context or authority.client_context()
        if host is None:
            context.check_hostname = False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, False, host, session)
        self.received = b""
        self.closed = False
        self.ready = False

    def start(self) -> bytes:
        """The ClientHello."""
        return self.feed(b"")

    def feed(self, data: bytes) -> bytes:
        """
        Take in what the server sent.

        @return: what is to be sent.
        @raise ssl.SSLError: the server is not to be spoken with.
        """
        self._in.write(data)
        try:
            if not self.ready:
                self.tls.do_handshake()
                self.ready = True
            while not self.closed:
                piece = self.tls.read(65536)
                self.received += piece
                self.closed = not piece
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True
        return self._out.read()

    def send(self, data: bytes) -> bytes:
        """The records that hold C{data}."""
        self.tls.write(data)
        return self._out.read()

    def close(self) -> bytes:
        """The close_notify."""
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            pass
        return self._out.read()
