"""What etcd's gateway is asked, and what it answers; the answers are those of 3.4.23."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster import etcd_messages as em
from subproxy.cluster.publication import Batch
from subproxy.cluster.store import (
    KeyDeleted,
    KeyWritten,
    LeaseLost,
    StoreError,
    WatchBegun,
    WatchCanceled,
    WatchEvents,
    WatchProgress,
)

HEADER = '"header":{"cluster_id":"419","member_id":"173","revision":"4","raft_term":"2"}'

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("result", "header", "events", "kv", "key", "revision", "error", "type")
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


class AskedTests(SynchronousTestCase):
    def test_range(self) -> None:
        """Pages, of one revision, each from the key after the last one."""
        self.assertEqual(
            em.range_body(b"s/", None, 0), {"key": "cy8=", "range_end": "czA=", "limit": "1000"}
        )
        following = em.range_body(b"s/", b"s/a", 4)
        self.assertEqual(following["key"], em.text(b"s/a\0"))
        self.assertEqual((following["range_end"], following["revision"]), ("czA=", "4"))

    @given(st.binary(min_size=1, max_size=8).filter(lambda prefix: prefix.strip(b"\xff")))
    def test_prefix_end(self, prefix: bytes) -> None:
        """All that begins with the prefix is before it, and nothing else that is behind it."""
        end = em.prefix_end(prefix)
        self.assertTrue(prefix < prefix + b"\xff\xff" < end)
        self.assertFalse(end.startswith(prefix))

    def test_write(self) -> None:
        """Deletes are of what has our lease alone."""
        asked = em.write_body(7, Batch({b"s/a": b"1"}, (b"s/b",)))
        put, delete = asked["success"]
        self.assertEqual(put, {"request_put": {"key": "cy9h", "value": "MQ==", "lease": "7"}})
        inner = delete["request_txn"]
        self.assertEqual(inner["compare"][0]["lease"], "7")
        self.assertEqual(inner["success"], [{"request_delete_range": {"key": "cy9i"}}])

    def test_watch(self) -> None:
        """Two requests, one after the other."""
        decoder = json.JSONDecoder()
        body = em.watch_body(b"s/", 5).decode()
        create, at = decoder.raw_decode(body)
        self.assertEqual(create["create_request"]["start_revision"], "5")
        self.assertEqual(decoder.raw_decode(body, at)[0], {"progress_request": {}})


class AnsweredTests(SynchronousTestCase):
    def test_range(self) -> None:
        """Keys and values, and whether there is more."""
        kvs = '"kvs":[{"key":"cy9j","create_revision":"4","value":"Mg=="},{"key":"cy9k"}]'
        said = em.parse(f'{{{HEADER},{kvs},"more":true,"count":"9"}}'.encode())
        self.assertEqual(em.range_page(said), ([(b"s/c", b"2"), (b"s/d", b"")], 4, True))
        self.assertEqual(em.range_page(em.parse(f"{{{HEADER}}}".encode())), ([], 4, False))

    def test_watch(self) -> None:
        """What a watch says; an event that writes has no type."""
        events = (
            '"events":[{"kv":{"key":"cy9h","create_revision":"2","mod_revision":"2","version":"1",'
            '"value":"MQ==","lease":"203"}},{"type":"DELETE","kv":{"key":"cy9h","mod_revision":"3"}}]'
        )
        rows: list[tuple[str, list[Any]]] = [
            (f'{{"result":{{{HEADER},"created":true}}}}', [WatchBegun(4)]),
            (f'{{"result":{{{HEADER},"watch_id":"-1"}}}}', [WatchProgress()]),
            (
                f'{{"result":{{{HEADER},{events}}}}}',
                [WatchEvents([KeyWritten(b"s/a", b"1"), KeyDeleted(b"s/a")], 4)],
            ),
            (
                '{"result":{"header":{"cluster_id":"4"},"canceled":true,"compact_revision":"4"}}',
                [WatchCanceled("what was asked for is forgotten")],
            ),
            (
                f'{{"result":{{{HEADER},"canceled":true,"cancel_reason":"no\\u001bthing"}}}}',
                [WatchCanceled("no\\x1bthing")],
            ),
        ]
        for line, found in rows:
            self.assertEqual(em.watch_messages(line.encode()), found)

    def test_refusals(self) -> None:
        """By the code of gRPC: statuses, and where the text stands, differ between versions."""
        gone = "etcdserver: requested lease not found"
        rows: list[tuple[int, dict[str, Any], type[Exception]]] = [
            (404, {"error": gone, "message": gone, "code": 5}, LeaseLost),
            (404, {"code": 5, "message": gone}, LeaseLost),
            (200, {"error": {"grpc_code": 5, "message": gone}}, LeaseLost),
            (404, {"error": "Not Found", "message": "Not Found", "code": 5}, StoreError),
            (401, {"code": 16, "message": "etcdserver: invalid auth token"}, em.TokenRefused),
            (400, {"error": "etcdserver: user name is empty", "code": 3}, StoreError),
            (503, {}, StoreError),
        ]
        for status, said, kind in rows:
            self.assertIs(type(em.refusal(status, said)), kind, said)
        self.assertEqual(str(em.refusal(503, {})), "status 503")
        self.assertEqual(str(em.refusal(500, {"message": "a\x1bb"})), "a\\x1bb")

    def test_no_answers(self) -> None:
        """What is no answer of etcd's is an error of the store, whatever it is."""
        for body in (b"", b"<html>", b"[]", b"[" * 100_000, b"\xff"):
            self.assertRaises(StoreError, em.parse, body)
        for line in (b"{}", b'{"result":{}}', b'{"result":{"header":{"revision":"x"}}}'):
            self.assertRaises(StoreError, em.watch_messages, line)
        self.assertRaises(StoreError, em.data, "not base64!")
        self.assertRaises(StoreError, em.number, None, "ID")

    @given(json_values)
    def test_any_json(self, said: Any) -> None:
        """Nothing else comes of it than messages or an error of the store."""
        line = json.dumps(said).encode()
        for call in (lambda: em.watch_messages(line), lambda: em.range_page(em.parse(line))):
            try:
                call()
            except (StoreError, LeaseLost):
                pass


class LineTests(SynchronousTestCase):
    @given(st.lists(st.binary(max_size=12)), st.integers(1, 7))
    def test_any_cut(self, lines: list[bytes], size: int) -> None:
        """However it is cut, the same lines come."""
        whole = [line.replace(b"\n", b"") for line in lines]
        data = b"".join(line + b"\n" for line in whole)
        splitter = em.LineSplitter()
        found = []
        for at in range(0, len(data), size):
            found += splitter.feed(data[at : at + size])
        self.assertEqual(found, [line for line in whole if line.strip()])

    def test_too_long(self) -> None:
        """A line without end is cut off."""
        splitter = em.LineSplitter(10)
        self.assertEqual(splitter.feed(b"0123456789\n"), [b"0123456789"])
        splitter.feed(b"01234")
        self.assertRaises(StoreError, splitter.feed, b"567890")
