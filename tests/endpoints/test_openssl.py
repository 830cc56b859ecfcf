"""pyOpenSSL is imported where it is used, and Twisted's modules are whole then."""

import importlib.util
import subprocess
import sys

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.endpoints.openssl import PostponedOpenSSL
from tests.rigs.paths import ROOT

MODULES = ("twisted.internet.endpoints", "twisted.internet.posixbase")


def answer(program: str) -> str:
    """What a fresh process prints."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.strip()


class PostponedOpenSSLTests(SynchronousTestCase):
    def setUp(self) -> None:
        if importlib.util.find_spec("OpenSSL") is None:
            raise SkipTest("there is no pyOpenSSL")

    def test_a_proxy_without_tls(self) -> None:
        """It does not load it, nor cryptography."""
        program = """
import sys
import subproxy.tap
from twisted.internet import reactor
from subproxy.endpoints.server_endpoint import server_endpoint
server_endpoint(reactor, "tcp:0")
print(sorted({"OpenSSL", "cryptography", "service_identity"} & set(sys.modules)))
"""
        self.assertEqual(answer(program), "[]")

    def test_provided(self) -> None:
        """Twisted's modules have then what they have where nobody postponed it."""
        names = f"""
import importlib
for name in {MODULES}:
    for key, value in sorted(vars(importlib.import_module(name)).items()):
        print(key, getattr(value, "__module__", type(value).__name__))
"""
        postponed = f"""
from subproxy.endpoints.openssl import openssl
openssl.postpone()
assert openssl.postponed
from subproxy.endpoints.server_endpoint import server_endpoint
try:
    server_endpoint(None, "ssl:0:privateKey=/nowhere")
except FileNotFoundError:
    pass
assert not openssl.postponed
{names}
"""
        self.assertEqual(answer(postponed), answer(names))

    def test_listening(self) -> None:
        """A reactor listens with TLS after that."""
        program = """
from subproxy.endpoints.openssl import openssl
openssl.postpone()
from twisted.internet import reactor
openssl.provide()
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
port = reactor.listenSSL(0, Factory(), CertificateOptions(), interface="127.0.0.1")
print(port.factory.__class__.__name__)
"""
        self.assertIn("TLSMemoryBIOFactory", answer(program))

    def test_too_late(self) -> None:
        """Where Twisted's transports are imported already, nothing is changed."""
        late = PostponedOpenSSL()
        late.postpone()
        self.assertFalse(late.postponed)
        late.provide()
