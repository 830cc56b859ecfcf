"""An authority that answers otherwise than ACME has it, and an account whose key is none."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from threading import Thread

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.authority import PATIENCE, Authority, OrderFailed, said
from subproxy.acme.files import AcmeFiles
from tests.rigs.tls_rig import key_pem, make_key


class _Answers(BaseHTTPRequestHandler):
    """The same to all."""

    answer = 200, b""

    def do_GET(self) -> None:
        status, body = self.answer
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class AuthorityTests(SynchronousTestCase):
    if find_spec("acme") is None:
        skip = "the extra acme is not installed"

    def setUp(self) -> None:
        self.files = AcmeFiles(self.mktemp())
        self.files.prepare(None)

    def said(self, directory: str) -> str:
        authority = Authority(directory, "", self.files, {})
        errors = [
            self.assertRaises(OrderFailed, authority.order, "a.example"),
            self.assertRaises(OrderFailed, authority.renewal, b""),
        ]
        self.assertEqual(str(errors[0]), str(errors[1]))
        return str(errors[0])

    def test_no_directory(self) -> None:
        """Such as a typing error leads to: it is no bug of ours, and the URL is said."""
        server = HTTPServer(("127.0.0.1", 0), _Answers)
        self.addCleanup(server.server_close)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}/dir"
        some = {"newNonce": url, "newAccount": url}
        for body in (b"[]", b"{}", b'"text"', json.dumps(some).encode()):
            self.patch(_Answers, "answer", (200, body))
            self.assertEqual(self.said(url), f"{url} is no directory of ACME")
        self.patch(_Answers, "answer", (404, b"no such page"))
        self.assertEqual(self.said(url), f"{url} answers with status 404")

    def test_no_key(self) -> None:
        """Before anybody is asked: the file is said, and stays as it is."""
        locked = make_key().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
        )
        other = key_pem(ec.generate_private_key(ec.SECP384R1()))
        for pem in (b"", b"no key", key_pem(make_key("rsa")), locked, other):
            self.files.keep_account("http://authority.example/dir", pem)
            path = self.files.account_path("http://authority.example/dir")
            why = self.said("http://authority.example/dir")
            self.assertEqual(why, f"{path} holds no key of an account, a plain one of P-256")
            self.assertEqual(self.files.account("http://authority.example/dir"), pem)

    def test_errors_without_a_text(self) -> None:
        from acme.errors import TimeoutError, ValidationError

        self.assertEqual(said(ValidationError([])), "the host could not be validated")
        self.assertEqual(
            said(TimeoutError()), f"the authority was not done with it within {PATIENCE} seconds"
        )
        self.assertEqual(said(ValueError()), "ValueError")
