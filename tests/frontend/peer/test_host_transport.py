"""Mutual TLS between hosts: who is let in is the same with each engine at either end."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.client_hello import read_client_hello
from tests.frontend.peer.host_tls_case import (
    ENGINES,
    HostEnd,
    HostLine,
    OtherClient,
    compiled_engine,
    host_files,
)
from tests.rigs.tls_rig import Authority, key_pem, make_key, show_certificate

PAIRS = [(one, two) for one in ENGINES for two in ENGINES]


def signed_by(issuer: Authority | Between, name: str, key: Any, *more: Any) -> bytes:
    """A certificate for host C{name} with C{key}, and C{more} extensions, in PEM."""
    now = datetime.now(timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=9))
    )
    for extension in (x509.SubjectAlternativeName([x509.DNSName(name)]), *more):
        builder = builder.add_extension(extension, False)
    found: bytes = builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return found


class Between:
    """An authority that another one vouches for."""

    def __init__(self, authority: Authority) -> None:
        self.key = make_key()
        self.pem = signed_by(authority, "between", self.key, x509.BasicConstraints(True, None))
        self.name = x509.load_pem_x509_certificate(self.pem).subject


class WhoIsLetInTests(SynchronousTestCase):
    """Each case with all pairs of engines."""

    def setUp(self) -> None:
        self.authority = Authority()
        self.good = [self.authority.issue(name) for name in ("kvm-1", "kvm-2")]

    def lines(
        self,
        one: bytes,
        two: bytes,
        believes: tuple[Authority, Authority] | None = None,
        **options: Any,
    ) -> Any:
        """A line for each pair of engines, moved until nothing moves."""
        authorities = believes or (self.authority, self.authority)
        folder = self.mktemp()
        files = [
            host_files(folder, authority, pem, name)
            for name, pem, authority in zip(("one", "two"), (one, two), authorities, strict=True)
        ]
        for first, second in PAIRS:
            line = HostLine((files[0], first()), (files[1], second()), **options)
            line.pump()
            yield line

    def refused(self, said: str, *more: Any, by: str = "two", **options: Any) -> None:
        """Whoever is at the other end never speaks, and a line says why."""
        for line in self.lines(*more, **options):
            end = getattr(line, by)
            self.assertFalse(end.speaks)
            self.assertEqual(len(end.refused), 1, end.refused)
            self.assertIn(said, end.refused[0])
            self.assertTrue(end.transport.gone)
            self.assertEqual((end.inner.heard, end.gates.handshakes), (b"", 0))

    def test_both_good(self) -> None:
        for line in self.lines(*self.good):
            self.assertEqual((line.one.admitted, line.two.admitted), (["kvm-2"], ["kvm-1"]))
            line.one.inner.transport.write(b"to two")
            line.two.inner.transport.write(b"to one")
            line.pump()
            self.assertEqual((line.one.inner.heard, line.two.inner.heard), (b"to one", b"to two"))
            self.assertEqual((line.one.refused, line.two.refused), ([], []))

    def test_another_authority(self) -> None:
        """Of who dials, or of who is dialled."""
        other = Authority("another one")
        self.refused("certificate verify failed", other.issue("kvm-1"), self.good[1])
        self.refused("certificate verify failed", self.good[0], other.issue("kvm-2"), by="one")
        # One of the same name, which is not the same.
        same = Authority()
        self.refused("certificate verify failed", same.issue("kvm-1"), self.good[1])

    def test_dates(self) -> None:
        for dates in ({"begin": -9, "end": -1}, {"begin": 1, "end": 9}):
            stale = [self.authority.issue(name, **dates) for name in ("kvm-1", "kvm-2")]
            self.refused("certificate verify failed", stale[0], self.good[1])
            self.refused("certificate verify failed", self.good[0], stale[1], by="one")

    def test_another_name(self) -> None:
        """Not whom was dialled, or whom nobody expects; what it is called first counts."""
        other = self.authority.issue("kvm-9", "kvm-1", "kvm-2")
        self.refused("its certificate is that of kvm-9", other, self.good[1])
        self.refused("its certificate is that of kvm-9", self.good[0], other, by="one")

    def test_signed_itself(self) -> None:
        """It is its own authority, or was signed by a host."""
        itself = Authority("kvm-1")
        alone = signed_by(itself, "kvm-1", itself.key) + key_pem(itself.key)
        self.refused("certificate verify failed", alone, self.good[1])
        host = Between(self.authority)
        key = host.key
        host.pem = signed_by(self.authority, "between", key)  # which is no authority
        mine = make_key()
        pem = signed_by(host, "kvm-1", mine) + host.pem + key_pem(mine)
        self.refused("certificate verify failed", pem, self.good[1])

    def test_between(self) -> None:
        """An authority between is good in the chain that is shown, and is none by itself."""
        between, mine = Between(self.authority), make_key()
        leaf = signed_by(between, "kvm-1", mine)
        for line in self.lines(leaf + between.pem + key_pem(mine), self.good[1]):
            self.assertEqual(line.two.admitted, ["kvm-1"])
        pem = leaf + key_pem(mine)
        self.refused("certificate verify failed", pem, self.good[1])
        believed: Any = (self.authority, between)
        self.refused("certificate verify failed", pem, self.good[1], believes=believed)

    def test_for_servers_alone(self) -> None:
        """One that says that it is no client's is none of who dials; and the other way round."""
        for usage, by in (("SERVER_AUTH", "two"), ("CLIENT_AUTH", "one")):
            key = make_key()
            place = 0 if by == "two" else 1
            wanted = x509.ExtendedKeyUsage([getattr(x509.ExtendedKeyUsageOID, usage)])
            pem = signed_by(self.authority, f"kvm-{place + 1}", key, wanted)
            both = list(self.good)
            both[place] = pem + key_pem(key)
            self.refused("certificate verify failed", *both, by=by)

    def test_what_is_dialled(self) -> None:
        """It is said in the first message, for the parent of many workers to read."""
        for make in ENGINES:
            files = host_files(self.mktemp(), self.authority, self.good[0])
            line = HostLine((files, make()), (files, make()), called=b"process-3.kvm-2")
            hello = read_client_hello(line.one.transport.value())
            assert hello is not None
            self.assertEqual(hello.name, b"process-3.kvm-2")
            line = HostLine((files, make()), (files, make()), called=b"")
            hello = read_client_hello(line.one.transport.value())
            assert hello is not None
            self.assertIsNone(hello.name)


class OtherClientTests(SynchronousTestCase):
    """Clients that are no hosts of ours."""

    def setUp(self) -> None:
        self.authority = Authority()
        self.pem = self.authority.issue("kvm-1")
        self.context = ssl.create_default_context(cadata=self.authority.pem.decode())
        self.context.check_hostname = False

    def ends(self) -> Any:
        files = host_files(self.mktemp(), self.authority, self.authority.issue("kvm-2"))
        for make in ENGINES:
            end = HostEnd(Clock(), files, make(), "kvm-1")
            end.begin(None)
            yield end

    def test_a_good_one(self) -> None:
        """What it is told then comes in order; it comes again by its certificate alone."""
        show_certificate(self.context, self.pem)
        for end in self.ends():
            client = OtherClient(self.context)
            client.meet(end)
            self.assertTrue(end.speaks)
            end.inner.transport.write(b"hello")
            end.clock.advance(0)
            self.assertEqual(client.meet(end), b"hello")
            self.assertEqual(client.tls.version(), "TLSv1.3")
            end.again()
            returning = OtherClient(self.context, client.tls.session)
            returning.meet(end)
            self.assertTrue(end.speaks)
            self.assertFalse(returning.tls.session_reused)

    def test_nothing_shown(self) -> None:
        """Who has no certificate."""
        for end in self.ends():
            self.assertRaises(ssl.SSLError, self._meet_to_the_end, end)
            self.assertFalse(end.speaks)
            end.transport.lose()
            self.assertIn("peer did not return a certificate", end.refused[0])

    def test_an_older_version(self) -> None:
        """TLS 1.2 and older are not spoken, whatever is shown."""
        show_certificate(self.context, self.pem)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        for end in self.ends():
            self.assertRaises(ssl.SSLError, self._meet_to_the_end, end)
            self.assertFalse(end.speaks)
            end.transport.lose()
            self.assertIn("unsupported protocol", end.refused[0])

    def test_no_tls(self) -> None:
        """Nor is plain text."""
        for end in self.ends():
            end.transport.protocol.dataReceived(b"GET / HTTP/1.1\r\n\r\n")
            end.transport.lose()
            self.assertFalse(end.speaks)
            self.assertIn("TLS: ", end.refused[0])

    def _meet_to_the_end(self, end: HostEnd) -> None:
        client = OtherClient(self.context)
        for _ in range(3):
            client.meet(end)


class CompiledTests(SynchronousTestCase):
    """What the compiled one does beside."""

    def line(self) -> HostLine:
        authority = Authority()
        folder = self.mktemp()
        one, two = (
            (host_files(folder, authority, authority.issue(name), name), compiled_engine())
            for name in ("kvm-1", "kvm-2")
        )
        line = HostLine(one, two)
        line.pump()
        return line

    def test_one_write_a_turn(self) -> None:
        """What is written in a turn is one write at its end, in as few records as there can be."""
        line = self.line()
        transport = line.one.inner.transport
        line.one.transport.writes = 0
        for number in range(100):
            transport.write(b"%03d" % number)
        transport.writeSequence([b"and", b" more"])
        self.assertEqual(line.one.transport.writes, 0)
        line.clock.advance(0)
        self.assertEqual(line.one.transport.writes, 1)
        self.assertEqual(len(line.one.transport.value()), 5 + 308 + 1 + 16)
        line.pump()
        said = b"".join(b"%03d" % number for number in range(100)) + b"and more"
        self.assertEqual(line.two.inner.heard, said)

    def test_much(self) -> None:
        """Much is not kept until the turn ends, and comes whole."""
        line = self.line()
        transport = line.one.inner.transport
        said = [bytes([number]) * 70_000 for number in range(8)]
        for each in said:
            transport.write(each)
        self.assertGreater(len(line.one.transport.value()), 280_000)
        line.pump()
        self.assertEqual(line.two.inner.heard, b"".join(said))

    def test_what_it_knows(self) -> None:
        transport = self.line().one.inner.transport
        self.assertTrue(transport.connected)
        self.assertFalse(transport.disconnecting)
        self.assertEqual(transport.getPeer(), transport.transport.getPeer())
        self.assertEqual(transport.getHost(), transport.transport.getHost())
        self.assertFalse(transport.getTcpNoDelay())
        transport.setTcpKeepAlive(True)
        self.assertFalse(transport.getTcpKeepAlive())
        self.assertIsNone(transport.waiting)
