"""What is to be written, whatever was wanted, written and lost meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.cluster.publication import Batch, Publication

A, B, C = b"a", b"b", b"c"


class PublicationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.publication = Publication()

    def write(self, most: int = 10) -> Batch:
        batch = self.publication.next(most)
        self.publication.written(batch)
        return batch

    def test_put_and_delete(self) -> None:
        """What is wanted is written, once; what is not any more, deleted."""
        self.publication.want(A, b"1")
        self.publication.want(B, b"1")
        self.assertEqual(self.write(), Batch({A: b"1", B: b"1"}))
        self.assertEqual(len(self.write()), 0)
        self.publication.unwant(A)
        self.publication.want(B, b"2")
        self.assertEqual(self.write(), Batch({B: b"2"}, (A,)))
        self.assertEqual((len(self.publication), self.publication.pending), (1, 0))

    def test_changed_back(self) -> None:
        """What is as it was before anybody wrote is not written at all."""
        self.publication.want(A, b"1")
        self.publication.unwant(A)
        self.assertEqual(self.publication.pending, 0)
        self.publication.want(A, b"1")
        self.write()
        self.publication.unwant(A)
        self.publication.want(A, b"1")
        self.assertEqual(self.publication.pending, 0)

    def test_most(self) -> None:
        """No more at once than may be, what is due longest first."""
        for key in (A, B, C):
            self.publication.want(key, b"1")
        self.assertEqual(list(self.write(2).puts), [A, B])
        self.assertEqual(list(self.write(2).puts), [C])

    def test_changed_meanwhile(self) -> None:
        """What changes while it is written is written again."""
        self.publication.want(A, b"1")
        batch = self.publication.next(10)
        self.publication.want(A, b"2")
        self.publication.written(batch)
        self.assertEqual(self.write(), Batch({A: b"2"}))
        self.publication.unwant(A)
        batch = self.publication.next(10)
        self.publication.want(A, b"2")
        self.publication.written(batch)
        self.assertEqual(self.write(), Batch({A: b"2"}))

    def test_uncertain(self) -> None:
        """What may have been written or not is made sure of."""
        self.publication.want(A, b"1")
        self.publication.uncertain(self.publication.next(10))
        self.publication.unwant(A)
        self.assertEqual(self.write(), Batch({}, (A,)))
        self.publication.want(A, b"1")
        batch = self.publication.next(10)
        self.publication.unwant(A)
        self.publication.uncertain(batch)
        self.assertEqual(self.write(), Batch({}, (A,)))
        self.assertEqual(self.publication.pending, 0)

    def test_lost(self) -> None:
        """Nothing is there any more: all that is wanted is due."""
        self.publication.want(A, b"1")
        self.publication.want(B, b"1")
        self.write()
        self.publication.unwant(B)
        self.publication.lost()
        self.assertEqual(self.write(), Batch({A: b"1"}))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(("want", "unwant", "written", "half", "failed", "lost")),
                st.sampled_from((A, B, C)),
                st.sampled_from((b"1", b"2")),
            )
        )
    )
    def test_any_order(self, steps: list[tuple[str, bytes, bytes]]) -> None:
        """In the end the store has what is wanted, and nothing else."""
        publication = Publication()
        wanted: dict[bytes, bytes] = {}
        store: dict[bytes, bytes] = {}
        under_way: Batch | None = None

        def put(batch: Batch) -> None:
            store.update(batch.puts)
            for key in batch.deletes:
                store.pop(key, None)

        for what, key, value in [*steps, *[("written", A, b"")] * 5]:
            if what == "want":
                wanted[key] = value
                publication.want(key, value)
            elif what == "unwant":
                wanted.pop(key, None)
                publication.unwant(key)
            elif what == "lost" and under_way is None:
                store.clear()
                publication.lost()
            elif under_way is None:
                under_way = publication.next(2)
            elif what == "written":
                put(under_way)
                publication.written(under_way)
                under_way = None
            elif what in ("half", "failed"):
                if what == "half":
                    put(under_way)
                publication.uncertain(under_way)
                under_way = None
        if under_way is not None:
            put(under_way)
            publication.written(under_way)
        while publication.pending:
            batch = publication.next(2)
            put(batch)
            publication.written(batch)
        self.assertEqual(store, wanted)
