"""The store in memory does what every store does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from subproxy.cluster.memory_store import MemoryStore
from subproxy.cluster.publication import Batch
from subproxy.cluster.store import StoreError
from tests.rigs.store_contract import PREFIX, StoreContract, Watched


class MemoryStoreTests(StoreContract, TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.store = self.memory = MemoryStore(self.clock)

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        for _ in range(10):
            self.clock.advance(0)
            if condition():
                return
        self.fail(what)

    async def let_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.clock.advance(0)

    async def compact(self, revision: int) -> None:
        self.assertEqual(revision, self.memory.revision)
        self.memory.compact()

    async def test_away(self) -> None:
        """It fails whatever it is asked, and is as it was when it is back."""
        lease = await self.store.grant(60)
        await self.store.write(lease, Batch({PREFIX + b"a": b"1"}))
        self.memory.away = True
        calls: list[Callable[[], Any]] = [
            lambda: self.store.grant(1),
            lambda: self.store.keep_alive(lease),
            lambda: self.store.revoke(lease),
            lambda: self.store.write(lease, Batch()),
            lambda: self.store.list(PREFIX),
        ]
        for call in calls:
            await self.assertFailure(call(), StoreError)
        watched = Watched(self.store, 2)
        self.clock.advance(0)
        self.assertEqual(len(watched.closed), 1)
        self.memory.away = False
        self.assertEqual(await self.items(), {PREFIX + b"a": b"1"})

    async def test_what_tests_do(self) -> None:
        """They write and delete as others do, and end watches."""
        watched = Watched(self.store, 2)
        self.memory.put(PREFIX + b"a", b"1")
        self.memory.delete(PREFIX + b"a")
        self.clock.advance(0)
        self.assertEqual(len(watched.events), 2)
        self.memory.break_watches()
        self.assertEqual(len(watched.closed), 1)
        watched.watch.cancel()
