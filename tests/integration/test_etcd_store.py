"""Real etcd does what every store does; and what becomes of it when it is killed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.client import BrowserLikePolicyForHTTPS

from subproxy.cluster import etcd_messages as em
from subproxy.cluster.etcd_client import EtcdClient
from subproxy.cluster.etcd_store import EtcdStore
from subproxy.cluster.publication import Batch
from subproxy.cluster.store import MAX_BATCH, StoreError, WatchCanceled
from tests.integration.etcd import SKIP, Etcd
from tests.integration.harness import DEADLINE, free_port
from tests.rigs.store_contract import PREFIX, StoreContract, Watched
from tests.rigs.tls_rig import Authority

_started: list[tuple[Etcd, Any]] = []


def tearDownModule() -> None:
    for etcd, folder in _started:
        etcd.kill()
        folder.cleanup()
    _started.clear()


def shared() -> Etcd:
    """One for all tests of this module: it takes a second to start."""
    if not _started:
        folder = tempfile.TemporaryDirectory(prefix="subproxy-etcd-")
        etcd = Etcd(Path(folder.name))
        _started.append((etcd, folder))
        etcd.start()
    return _started[0][0]


class EtcdCase(TestCase):
    skip = SKIP

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                self.fail(f"not within {DEADLINE} s: {what}")
            await self.let_pass(0.02)

    async def let_pass(self, seconds: float) -> None:
        await deferLater(reactor, seconds)  # type: ignore[arg-type]

    def client(self, *urls: str, **more: Any) -> EtcdClient:
        client = EtcdClient(reactor, urls, **more)
        self.addCleanup(client.close)
        return client


class EtcdStoreTests(EtcdCase, StoreContract):
    async def setUp(self) -> None:
        self.etcd = shared()
        self.asks = self.client(self.etcd.url)
        self.store = EtcdStore(self.asks)
        everything = {"key": em.text(b"\0"), "range_end": em.text(b"\0")}
        await self.asks.ask("/v3/kv/deleterange", everything)

    async def compact(self, revision: int) -> None:
        await self.asks.ask("/v3/kv/compaction", {"revision": str(revision)})

    async def test_pages(self) -> None:
        """What takes several pages is listed whole, once, and of one revision."""
        lease = await self.store.grant(60)
        keys = [PREFIX + b"%05d" % number for number in range(2 * em.PAGE + 1)]
        for at in range(0, len(keys), MAX_BATCH):
            await self.store.write(lease, Batch(dict.fromkeys(keys[at : at + MAX_BATCH], b"1")))
        self.assertEqual([key for key, _ in (await self.store.list(PREFIX)).items], keys)
        await self.store.revoke(lease)

    async def test_another_member(self) -> None:
        """Where one member does not answer, the next one is asked."""
        store = EtcdStore(self.client(f"http://127.0.0.1:{free_port()}", self.etcd.url))
        await self.assertFailure(store.list(PREFIX), StoreError)
        self.assertEqual((await store.list(PREFIX)).items, [])

    async def test_no_etcd(self) -> None:
        """What is no etcd, or not there, is an error with its address, and so is a watch."""
        port = free_port()
        store = EtcdStore(self.client(f"http://127.0.0.1:{port}"))
        error = await self.assertFailure(store.grant(5), StoreError)
        self.assertIn(f"127.0.0.1:{port}", str(error))
        watched = Watched(store, 1)
        await self.until(lambda: watched.closed, "that it is closed")
        self.assertIn(f"127.0.0.1:{port}", str(watched.closed[0]))


class KilledEtcdTests(EtcdCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.etcd = Etcd(folder)
        self.addCleanup(self.etcd.kill)
        self.etcd.start()

    async def test_killed(self) -> None:
        """A watch hears that etcd was killed; back again, it has all that was there."""
        etcd = self.etcd
        store = EtcdStore(self.client(etcd.url))
        lease = await store.grant(60)
        await store.write(lease, Batch({PREFIX + b"a": b"1"}))
        before = await store.list(PREFIX)
        watched = Watched(store, before.revision + 1)
        await self.until(lambda: watched.begun, "a watch")
        etcd.kill()
        await self.until(lambda: watched.closed, "its end")
        await self.assertFailure(store.list(PREFIX), StoreError)
        etcd.start()
        after = await store.list(PREFIX)
        self.assertEqual(after.items, before.items)
        await store.keep_alive(lease)
        again = Watched(store, before.revision + 1)
        await store.write(lease, Batch({PREFIX + b"b": b"2"}))
        await self.until(lambda: again.events, "what happens")
        again.watch.cancel()


class SecuredEtcdTests(EtcdCase):
    """Over TLS, and etcd wants to know who asks."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        authority = Authority()
        self.etcd = Etcd(folder, authority)
        self.addCleanup(self.etcd.kill)
        self.etcd.start()
        roots = trustRootFromCertificates([Certificate.loadPEM(authority.pem)])
        self.policy = BrowserLikePolicyForHTTPS(roots)
        self.password = "secret"

    def credentials(self) -> tuple[str, str]:
        return "proxy", self.password

    async def enable(self) -> None:
        """Let etcd have users: one that may do all, and that of the proxies."""
        admin = self.client(self.etcd.url, policy=self.policy)
        everything = {"key": em.text(PREFIX), "range_end": em.text(em.prefix_end(PREFIX))}
        for path, body in (
            ("user/add", {"name": "root", "password": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("user/add", {"name": "proxy", "password": "secret"}),
            ("role/add", {"name": "proxies"}),
            ("user/grant", {"user": "proxy", "role": "proxies"}),
            (
                "role/grant",
                {"name": "proxies", "perm": {"permType": "READWRITE", **everything}},
            ),
            ("enable", {}),
        ):
            if body.get("role") == "root":
                await admin.ask("/v3/auth/role/add", {"name": "root"})
            await admin.ask(f"/v3/auth/{path}", body)

    async def test_users(self) -> None:
        """All goes on with a name and a password, also when etcd has forgotten its tokens."""
        await self.enable()
        stranger = EtcdStore(self.client(self.etcd.url, policy=self.policy))
        await self.assertFailure(stranger.list(PREFIX), StoreError)
        unbelieving = EtcdStore(self.client(self.etcd.url))
        await self.assertFailure(unbelieving.list(PREFIX), StoreError)
        client = self.client(self.etcd.url, credentials=self.credentials, policy=self.policy)
        store = EtcdStore(client)
        lease = await store.grant(60)
        await store.write(lease, Batch({PREFIX + b"a": b"1"}))
        before = await store.list(PREFIX)
        self.assertEqual(before.items, [(PREFIX + b"a", b"1")])
        await self.assertFailure(store.list(b"/other/"), StoreError)
        watched = Watched(store, before.revision + 1)
        await self.until(lambda: watched.begun, "a watch")
        self.etcd.kill()
        await self.until(lambda: watched.closed, "its end")
        self.etcd.start()
        # Tokens are in its memory alone.
        await store.keep_alive(lease)
        await store.write(lease, Batch({PREFIX + b"b": b"2"}))
        again = Watched(store, before.revision + 1)
        await self.until(lambda: again.events, "what has happened")
        again.watch.cancel()
        client.forget_token()
        self.password = "wrong"
        await self.assertFailure(store.list(PREFIX), StoreError)

    async def test_watch_with_an_old_token(self) -> None:
        """A watch that is refused for it ends, and the next thing that is asked gets another."""
        await self.enable()
        client = self.client(self.etcd.url, credentials=self.credentials, policy=self.policy)
        store = EtcdStore(client)
        revision = (await store.list(PREFIX)).revision
        client._token = "old.1"
        watched = Watched(store, revision + 1)
        await self.until(lambda: watched.closed or watched.has(WatchCanceled), "its end")
        self.assertEqual((await store.list(PREFIX)).items, [])
