"""ACME with pebble: what is ordered, by which challenge, what is kept, and when it is renewed."""

from __future__ import annotations

import json
import os
import shlex
import signal
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from cryptography import x509

from subproxy.acme.authority import PATIENCE
from subproxy.acme.schedule import FIRST_PAUSE
from subproxy.acme.service import LOOK
from tests.integration import admin_client
from tests.integration.golang import fetched
from tests.integration.harness import free_port, wait_until
from tests.integration.tls_case import HOST, RING, TlsCase

MODULE = Path(__file__).parent / "pebble"
COMMAND = "github.com/letsencrypt/pebble/v2/cmd/pebble"
POLICY = f"""
[[guest]]
identity = "*"
hosts = ["{HOST}", "*.wild.example", "idle.example"]
"""
ORDERS = 3
"""On a loaded machine an authority may give up on a name server, or on us: it is asked again."""


def pebble() -> str:
    """Where it is."""
    return str(fetched("pebble", COMMAND, MODULE))


class AcmeCase(TlsCase):
    validity = 7_776_000

    def setUp(self) -> None:
        super().setUp()
        folder = self.world.folder
        self.records = folder / "records"
        self.files = folder / "acme"
        self.policy = folder / "policy.toml"
        self.policy.write_text(POLICY)
        names = free_port()
        self.world.start(
            "dns", [sys.executable, "-m", "tests.integration.acme_dns", str(names), self.records]
        ).wait_for("answers")
        own = folder / "pebble.pem"
        own.write_bytes(self.authority.issue("127.0.0.1"))
        self.directory, self.management = free_port(), free_port()
        config = folder / "pebble.json"
        config.write_text(
            json.dumps(
                {
                    "pebble": {
                        "listenAddress": f"127.0.0.1:{self.directory}",
                        "managementListenAddress": f"127.0.0.1:{self.management}",
                        "certificate": str(own),
                        "privateKey": str(own),
                        "httpPort": self.world.port,
                        "tlsPort": self.https,
                        "retryAfter": {"authz": 1, "order": 1},
                        "profiles": {
                            "usual": {"description": "", "validityPeriod": self.validity},
                            "other": {"description": "", "validityPeriod": 86400 * 300},
                        },
                    }
                }
            )
        )
        self.command = [pebble(), "-config", str(config), "-dnsserver", f"127.0.0.1:{names}"]
        self.start_pebble()

    def start_pebble(self) -> None:
        """It remembers nothing of what was before."""
        self.pebble = self.world.start("pebble", self.command, PEBBLE_VA_NOSLEEP="1")
        self.pebble.wait_for("ACME directory available")

    def start(self, *options: str) -> None:
        """The proxy."""
        os.environ["REQUESTS_CA_BUNDLE"] = str(self.ca)
        self.addCleanup(os.environ.pop, "REQUESTS_CA_BUNDLE", None)
        self.proxy = self.world.start_proxy(
            f"--https=tcp:{self.https}:interface=127.0.0.1",
            f"--tls-library={self.library}",
            f"--policy={self.policy}",
            f"--acme=https://127.0.0.1:{self.directory}/dir",
            "--acme-email=admin@blog.example",
            "--acme-profile=usual",
            f"--acme-folder={self.files}",
            f"--admin={self.world.folder / 'admin'}",
            *options,
            twistd=(f"--reactor={RING}",),
        )
        self.proxy.wait_for("HTTPS on")

    def guest(self, *hosts: str) -> None:
        self.world.start_guest(
            "tests.integration.apps:Named", *(f"--host={each}" for each in hosts), "--keep-going"
        )

    def root(self) -> ssl.SSLContext:
        """What believes pebble."""
        context = ssl.create_default_context(cafile=str(self.ca))
        url = f"https://127.0.0.1:{self.management}/roots/0"
        with urlopen(url, context=context, timeout=30) as answer:
            return ssl.create_default_context(cadata=answer.read().decode())

    def certificate(self, name: str) -> x509.Certificate | None:
        path = self.files / "certificates" / f"{name}.pem"
        return x509.load_pem_x509_certificate(path.read_bytes()) if path.exists() else None

    def names(self) -> list[str]:
        return sorted(each.stem for each in (self.files / "certificates").glob("[!.]*"))

    def ask(self, host: str) -> bytes:
        with self.connect(host, self.root()) as client:
            return self.get(client, host=host)

    def wait(self, name: str) -> Any:
        """Its certificate: each order may take the time that it is given, and fail but the last."""
        for number in range(ORDERS):
            wait_until(
                lambda failed=number + 1: self.certificate(name) or self.failed(name) >= failed,
                f"a certificate for {name}, or that there is none",
                LOOK + 2 * FIRST_PAUSE * 2**number + PATIENCE,
            )
            if (found := self.certificate(name)) is not None:
                return found
        raise AssertionError(self.proxy.output)

    def failed(self, name: str) -> int:
        """How many orders of it have failed."""
        return self.proxy.output.count(f"no certificate for {name}: ")


class AcmeTests(AcmeCase):
    def test_http(self) -> None:
        """
        A host that the policy names and a guest serves; none that is below a wildcard, none that
        nobody serves; of the profile that was asked for; by the same account the next time.
        """
        self.start()
        self.guest("blog\\.example", "a\\.wild\\.example", "evil\\.example")
        found = self.wait(HOST)
        life = found.not_valid_after_utc - found.not_valid_before_utc
        self.assertEqual(round(life.total_seconds() / 86400), 90)
        wait_until(lambda: self.served(HOST), "it is shown", 60)
        self.assertEqual(self.names(), [HOST])
        for path in self.files.rglob("*"):
            self.assertEqual(path.stat().st_mode & 0o777, 0o700 if path.is_dir() else 0o600)
        [account] = (self.files / "accounts").iterdir()
        before = account.read_bytes()
        self.proxy.signal(signal.SIGTERM)
        self.proxy.wait()
        (self.files / "certificates" / f"{HOST}.pem").unlink()
        hook, calls = self.world.folder / "hook", self.world.folder / "calls"
        hook.write_text(f'#!/bin/sh\necho "$1 $2" >> {shlex.quote(str(calls))}\nexit 1\n')
        hook.chmod(0o755)
        self.start(f"--acme-dns-hook={hook}")
        self.wait(HOST)
        # What fails is tried again later, and harms nobody.
        self.proxy.wait_for(f"no certificate for *.wild.example: {hook} add: status 1;")
        # It may have made a record before it failed.
        record = "_acme-challenge.wild.example"
        self.assertEqual(calls.read_text().splitlines(), [f"add {record}", f"remove {record}"])
        self.assertEqual(account.read_bytes(), before)
        self.assertEqual(self.names(), [HOST])
        self.assertNotIn("Traceback", self.proxy.output)

    def test_forgotten(self) -> None:
        """An authority that knows our account no more is told of it again, by the same key."""
        self.start()
        self.guest("blog\\.example")
        self.wait(HOST)
        [account] = (self.files / "accounts").iterdir()
        before = account.read_bytes()
        self.pebble.signal(signal.SIGTERM)
        self.pebble.wait()
        self.start_pebble()
        self.guest("idle\\.example")
        self.wait("idle.example")
        self.assertEqual(account.read_bytes(), before)
        self.assertNotIn("accountDoesNotExist", self.proxy.output)
        self.assertNotIn("Traceback", self.proxy.output)

    def test_workers(self) -> None:
        """One of them orders, whichever the authority asks answers, and all show it."""
        self.start("--workers=3")
        self.guest("blog\\.example")
        self.wait(HOST)
        wait_until(lambda: all(self.served(HOST) for _ in range(24)), "it is shown by all", 60)
        self.assertEqual(self.proxy.output.count("a certificate for blog.example is ordered"), 1)
        self.assertEqual(list((self.files / "challenges").iterdir()), [])
        metrics = admin_client.page(self.world.folder / "admin", "/metrics")
        self.assertIn(b'subproxy_acme_orders_total{outcome="issued"} 1.0', metrics)

    def served(self, host: str) -> bool:
        try:
            return b" 200 " in self.ask(host)
        except ssl.SSLError:
            return False

    def test_dns(self) -> None:
        """A wildcard, by records that a program makes, and takes away again."""
        hook = self.world.folder / "hook"
        hook.write_text(
            f"""#!/bin/sh
case $1 in
add) echo "$2 $3" >> {shlex.quote(str(self.records))};;
remove) : > {shlex.quote(str(self.records))};;
esac
"""
        )
        hook.chmod(0o755)
        self.start(f"--acme-dns-hook={hook}")
        self.guest("a\\.wild\\.example")
        self.wait("_.wild.example")
        wait_until(lambda: self.served("a.wild.example"), "it is shown", 60)
        self.assertEqual(self.names(), ["_.wild.example"])
        wait_until(lambda: self.records.read_text() == "", "no record is left", 60)


class RenewalTests(AcmeCase):
    validity = 30

    def test_renewed(self) -> None:
        """When the authority says so."""
        self.start()
        self.guest("blog\\.example")
        first = self.wait(HOST).serial_number
        wait_until(lambda: self.wait(HOST).serial_number != first, "another one", 120)
