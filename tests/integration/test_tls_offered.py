"""What is offered over TLS, as C{openssl s_client} sees it."""

from __future__ import annotations

import shutil
import subprocess
from unittest import SkipTest

from subproxy.fastpath.install import unavailable
from tests.integration.tls_case import HOST, TlsCase


class OfferedTests(TlsCase):
    skip = unavailable()

    def setUp(self) -> None:
        super().setUp()
        if shutil.which("openssl") is None:
            raise SkipTest("openssl is not here")
        self.serve()

    def ask(self, *options: str, said: str = "") -> tuple[int, str]:
        """
        Its status, and what it says.

        @param said: to the server; the connection ends behind it.
        """
        done = subprocess.run(
            [
                *("openssl", "s_client", "-connect", f"127.0.0.1:{self.https}"),
                *("-CAfile", str(self.ca), "-verify_return_error", "-servername", HOST, *options),
            ],
            input=said,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def test_versions_and_protocols(self) -> None:
        """TLS 1.3 and 1.2, HTTP/2 before HTTP/1.1; the chain is whole."""
        for options, version in (((), "TLSv1.3"), (("-tls1_2",), "TLSv1.2")):
            for alpn, chosen in (("http/1.1,h2", "h2"), ("http/1.1", "http/1.1")):
                status, said = self.ask("-alpn", alpn, *options)
                self.assertEqual(status, 0, said)
                self.assertIn(f"New, {version}, Cipher is ", said)
                self.assertIn(f"ALPN protocol: {chosen}\n", said)
                self.assertIn("Verify return code: 0 (ok)", said)
                self.assertIn("Compression: NONE", said)
            self.assertIn("No ALPN negotiated", self.ask(*options)[1])

    def test_older_versions(self) -> None:
        """They are refused, by a client that would take them."""
        for version in ("-tls1", "-tls1_1"):
            status, said = self.ask(version, "-cipher", "ALL:@SECLEVEL=0")
            self.assertEqual((status, "Cipher is (NONE)" in said), (1, True), said)
            self.assertIn("alert protocol version", said)

    def test_ciphers(self) -> None:
        """Of TLS 1.2 those with forward secrecy and authenticated encryption alone."""
        for cipher, taken in (
            ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
            ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
            ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
            ("ECDHE-ECDSA-AES128-SHA", False),
            ("ECDHE-ECDSA-AES256-SHA384", False),
            ("NULL:eNULL:aNULL", False),
        ):
            status, said = self.ask("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
            self.assertEqual(status == 0, taken, said)

    def test_suites(self) -> None:
        """AES of 128 bits, which costs least; ChaCha20 for who has no instructions for that."""
        chacha = "TLS_CHACHA20_POLY1305_SHA256"
        for offered, chosen in (
            ((), "TLS_AES_128_GCM_SHA256"),
            (("-ciphersuites", "TLS_AES_256_GCM_SHA384"), "TLS_AES_256_GCM_SHA384"),
            (("-ciphersuites", f"{chacha}:TLS_AES_128_GCM_SHA256"), chacha),
        ):
            self.assertIn(f"New, TLSv1.3, Cipher is {chosen}\n", self.ask(*offered)[1])

    def test_sessions(self) -> None:
        """They are resumed, in both versions; and no early data is taken."""
        request = f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        for version in ("-tls1_2", "-tls1_3"):
            session = str(self.world.folder / f"session{version}")
            status, said = self.ask(version, "-ign_eof", "-sess_out", session, said=request)
            self.assertIn("HTTP/1.1 200 OK", said)
            status, said = self.ask(version, "-ign_eof", "-sess_in", session, said=request)
            self.assertEqual(status, 0, said)
            self.assertIn("Reused, TLSv1.", said)
            self.assertIn("HTTP/1.1 200 OK", said)
        self.assertIn("Max Early Data: 0", said)

    def test_renegotiation(self) -> None:
        """The client of TLS 1.2 that asks for it is not heard."""
        _, said = self.ask("-tls1_2", said="R\n")
        self.assertIn("RENEGOTIATING", said)
        self.assertIn("no renegotiation", said)


class OfferedByTheWheelTests(OfferedTests):
    """The same by the libssl of cryptography's wheel, which says what it lacks."""

    library = "wheel"

    def test_what_the_start_says(self) -> None:
        self.assertRegex(
            self.proxy.output,
            r"TLS by cryptography's libssl \(OpenSSL [^)]+\); ticket keys change every 12 hours, "
            "and sessions end with them; each worker has its own",
        )
