"""A store in etcd, 3.4 or newer."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from subproxy.cluster import etcd_messages as em
from subproxy.cluster.etcd_client import EtcdClient, EtcdStream
from subproxy.cluster.publication import Batch
from subproxy.cluster.store import LeaseLost, Snapshot, StoreError, WatchMessage


class EtcdStore:
    """
    See L{Store<subproxy.cluster.store.Store>}.

    @param client: who asks.
    """

    _log = Logger()

    def __init__(self, client: EtcdClient) -> None:
        self._client = client

    def grant(self, seconds: int) -> Deferred[int]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        asked = self._client.ask(em.GRANT, {"TTL": str(seconds)})
        return asked.addCallback(lambda said: em.number(said, "ID"))

    def keep_alive(self, lease: int) -> Deferred[None]:
        """See L{Store<subproxy.cluster.store.Store>}."""

        def look(said: dict[str, object]) -> None:
            result = said.get("result")
            if not em.number(result, "TTL"):
                raise LeaseLost()

        return self._client.ask(em.KEEP_ALIVE, {"ID": str(lease)}).addCallback(look)

    def revoke(self, lease: int) -> Deferred[None]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        asked = self._client.ask(em.REVOKE, {"ID": str(lease)})
        done: Deferred[None] = asked.addCallback(lambda _: None)
        return done.addErrback(lambda failure: failure.trap(LeaseLost) and None)

    def write(self, lease: int, batch: Batch) -> Deferred[None]:
        """See L{Store<subproxy.cluster.store.Store>}."""
        asked = self._client.ask(em.TRANSACTION, em.write_body(lease, batch))
        return asked.addCallback(lambda _: None)

    def list(self, prefix: bytes) -> Deferred[Snapshot]:
        """See L{Store<subproxy.cluster.store.Store>}. All pages are of one revision."""
        return Deferred.fromCoroutine(self._list(prefix))

    async def _list(self, prefix: bytes) -> Snapshot:
        found: list[tuple[bytes, bytes]] = []
        revision = 0
        more = True
        while more:
            after = found[-1][0] if found else None
            said = await self._client.ask(em.RANGE, em.range_body(prefix, after, revision))
            page, now, more = em.range_page(said)
            revision = revision or now
            found += page
            more = more and bool(page)
        return Snapshot(found, revision)

    def watch(
        self,
        prefix: bytes,
        revision: int,
        heard: Callable[[WatchMessage], None],
        closed: Callable[[StoreError], None],
    ) -> EtcdStream:
        """See L{Store<subproxy.cluster.store.Store>}."""

        def line(said: bytes) -> None:
            for each in em.watch_messages(said):
                heard(each)

        return self._client.stream(
            em.WATCH,
            em.watch_body(prefix, revision),
            line,
            lambda reason: closed(StoreError(reason)),
        )
