"""What every store of a cluster does: the same tests for each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from subproxy.cluster.publication import Batch
from subproxy.cluster.store import (
    MAX_BATCH,
    KeyDeleted,
    KeyWritten,
    LeaseLost,
    Store,
    StoreError,
    WatchBegun,
    WatchCanceled,
    WatchEvents,
    WatchMessage,
    WatchProgress,
)

PREFIX = b"/subproxy/"


class Watched:
    """What is heard of a watch."""

    def __init__(self, store: Store, revision: int) -> None:
        self.messages: list[WatchMessage] = []
        self.closed: list[StoreError] = []
        self.watch = store.watch(PREFIX, revision, self.messages.append, self.closed.append)

    @property
    def events(self) -> list[KeyWritten | KeyDeleted]:
        return [
            event
            for message in self.messages
            if isinstance(message, WatchEvents)
            for event in message.events
        ]

    @property
    def begun(self) -> list[WatchBegun]:
        return [message for message in self.messages if isinstance(message, WatchBegun)]

    def has(self, kind: type[Any]) -> bool:
        return any(isinstance(message, kind) for message in self.messages)


class StoreContract:
    """
    To be mixed into a test case of trial.

    @ivar store: a store in which nothing is under the prefix.
    """

    store: Store

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait until C{condition} is true."""
        raise NotImplementedError

    async def let_pass(self, seconds: float) -> None:
        """Let so much time pass, at least."""
        raise NotImplementedError

    async def compact(self, revision: int) -> None:
        """Let the store forget what was up to C{revision}, which is the newest."""
        raise NotImplementedError

    async def items(self) -> dict[bytes, bytes]:
        return dict((await self.store.list(PREFIX)).items)

    async def test_list(self) -> None:
        """What was written is listed, keys and values of any bytes; what is beside it is not."""
        lease = await self.store.grant(60)
        values = {PREFIX + b"a\xff\x00": b"\x00\xff", PREFIX + b"b": b""}
        await self.store.write(lease, Batch({**values, b"/subproxy0": b"x", b"/sub": b"x"}))
        found = await self.store.list(PREFIX)
        self.assertEqual(dict(found.items), values)  # type: ignore[attr-defined]
        self.assertEqual(found.items, sorted(found.items))  # type: ignore[attr-defined]

    async def test_batch(self) -> None:
        """As much as may be written at once is, and deletes go with puts."""
        lease = await self.store.grant(60)
        keys = [PREFIX + b"%d" % number for number in range(MAX_BATCH)]
        await self.store.write(lease, Batch(dict.fromkeys(keys, b"1")))
        self.assertEqual(len(await self.items()), MAX_BATCH)  # type: ignore[attr-defined]
        await self.store.write(lease, Batch({PREFIX + b"x": b"2"}, tuple(keys[1:])))
        self.assertEqual(  # type: ignore[attr-defined]
            await self.items(), {keys[0]: b"1", PREFIX + b"x": b"2"}
        )

    async def test_delete_of_another(self) -> None:
        """What another lease has by now stays, and what is not there is no error."""
        old, new = await self.store.grant(60), await self.store.grant(60)
        await self.store.write(old, Batch({PREFIX + b"a": b"1"}))
        await self.store.write(new, Batch({PREFIX + b"a": b"2"}))
        await self.store.write(old, Batch({}, (PREFIX + b"a", PREFIX + b"b")))
        self.assertEqual(await self.items(), {PREFIX + b"a": b"2"})  # type: ignore[attr-defined]
        await self.store.revoke(old)
        self.assertEqual(await self.items(), {PREFIX + b"a": b"2"})  # type: ignore[attr-defined]

    async def test_revoke(self) -> None:
        """With a lease goes all that stands under it; once more is no error."""
        lease = await self.store.grant(60)
        await self.store.write(lease, Batch({PREFIX + b"a": b"1"}))
        await self.store.revoke(lease)
        await self.store.revoke(lease)
        self.assertEqual(await self.items(), {})  # type: ignore[attr-defined]

    async def test_lease_lost(self) -> None:
        """Under a lease that is gone nothing is written, and it cannot be kept."""
        lease = await self.store.grant(60)
        await self.store.revoke(lease)
        batch = Batch({PREFIX + b"a": b"1"})
        for call in (lambda: self.store.write(lease, batch), lambda: self.store.keep_alive(lease)):
            try:
                await call()
            except LeaseLost:
                continue
            self.fail("it was there")  # type: ignore[attr-defined]
        self.assertEqual(await self.items(), {})  # type: ignore[attr-defined]

    async def test_lease_expires(self) -> None:
        """One that is kept outlives one that is not, and what stood under this is deleted."""
        kept, left = await self.store.grant(2), await self.store.grant(2)
        await self.store.write(kept, Batch({PREFIX + b"kept": b"1"}))
        await self.store.write(left, Batch({PREFIX + b"left": b"1"}))
        watched = Watched(self.store, (await self.store.list(PREFIX)).revision + 1)
        for _ in range(60):
            await self.store.keep_alive(kept)
            await self.let_pass(0.2)
            if watched.events:
                break
        self.assertEqual(watched.events, [KeyDeleted(PREFIX + b"left")])  # type: ignore[attr-defined]
        self.assertEqual(await self.items(), {PREFIX + b"kept": b"1"})  # type: ignore[attr-defined]
        watched.watch.cancel()

    async def test_watch(self) -> None:
        """It tells of all from its revision on, in order, and of nothing else."""
        lease = await self.store.grant(60)
        await self.store.write(lease, Batch({PREFIX + b"a": b"0"}))
        revision = (await self.store.list(PREFIX)).revision
        await self.store.write(lease, Batch({PREFIX + b"a": b"1", b"/other": b"x"}))
        watched = Watched(self.store, revision + 1)
        await self.until(lambda: watched.events, "what has happened")
        await self.store.write(lease, Batch({}, (PREFIX + b"a",)))
        await self.until(lambda: len(watched.events) == 2, "what happens")
        self.assertEqual(  # type: ignore[attr-defined]
            watched.events, [KeyWritten(PREFIX + b"a", b"1"), KeyDeleted(PREFIX + b"a")]
        )
        self.assertGreaterEqual(watched.begun[0].revision, revision + 1)  # type: ignore[attr-defined]
        last = [each for each in watched.messages if isinstance(each, WatchEvents)][-1]
        found = await self.store.list(PREFIX)
        self.assertEqual(last.revision, found.revision)  # type: ignore[attr-defined]
        self.assertEqual(watched.closed, [])  # type: ignore[attr-defined]
        watched.watch.cancel()

    async def test_quiet_watch(self) -> None:
        """One that has nothing to tell says that it is there."""
        watched = Watched(self.store, (await self.store.list(PREFIX)).revision + 1)
        await self.until(lambda: watched.has(WatchProgress), "progress")
        self.assertTrue(watched.has(WatchBegun))  # type: ignore[attr-defined]
        self.assertEqual(watched.events, [])  # type: ignore[attr-defined]
        watched.watch.cancel()

    async def test_canceled_is_silent(self) -> None:
        """Of one that was canceled nothing is heard, not even its end."""
        revision = (await self.store.list(PREFIX)).revision
        one, two = Watched(self.store, revision + 1), Watched(self.store, revision + 1)
        one.watch.cancel()
        lease = await self.store.grant(60)
        await self.store.write(lease, Batch({PREFIX + b"a": b"1"}))
        await self.until(lambda: two.events, "the other one")
        self.assertEqual((one.messages, one.closed), ([], []))  # type: ignore[attr-defined]
        two.watch.cancel()

    async def test_future(self) -> None:
        """A revision that the store has not reached: it tells where it is."""
        revision = (await self.store.list(PREFIX)).revision
        watched = Watched(self.store, revision + 1000)
        await self.until(lambda: watched.begun, "that it has begun")
        self.assertLess(watched.begun[0].revision, revision + 999)  # type: ignore[attr-defined]
        watched.watch.cancel()

    async def test_compacted(self) -> None:
        """What is forgotten cannot be watched."""
        lease = await self.store.grant(60)
        for number in range(3):
            await self.store.write(lease, Batch({PREFIX + b"a": b"%d" % number}))
        revision = (await self.store.list(PREFIX)).revision
        await self.compact(revision)
        watched = Watched(self.store, revision - 1)
        await self.until(lambda: watched.has(WatchCanceled), "that it is canceled")
        watched.watch.cancel()
