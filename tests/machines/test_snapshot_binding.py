"""What a snapshot is of."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.declaration import Machine
from subproxy.machines.snapshot_binding import SnapshotRecord, StartFacts, why_unusable

BLOG = Machine("blog", "qemu", ("blog.example",), kernel="/k", snapshot=True)
FACTS = StartFacts("QEMU 7.2.22", {"kernel": "1"}, "boot", kvm=True)


class SnapshotBindingTests(SynchronousTestCase):
    def test_what_it_is_bound_to(self) -> None:
        """Kernel, image, VMM, boot, KVM, what the machine runs by; not what its manager goes by."""
        mine = FACTS.fingerprint(BLOG)
        for facts in (
            replace(FACTS, version="QEMU 7.2.23"),
            replace(FACTS, digests={"kernel": "2"}),
            replace(FACTS, digests={"kernel": "1", "initramfs": "2"}),
            replace(FACTS, boot="another"),
            replace(FACTS, kvm=False),
        ):
            self.assertNotEqual(facts.fingerprint(BLOG), mine)
        for machine in (
            replace(BLOG, memory=BLOG.memory * 2),
            replace(BLOG, environment={"A": "b"}),
            replace(BLOG, name="shop"),
        ):
            self.assertNotEqual(FACTS.fingerprint(machine), mine)
        for machine in (replace(BLOG, idle=1.0, most=5), replace(BLOG, hosts=("b.example",))):
            self.assertEqual(FACTS.fingerprint(machine), mine)

    def test_a_record(self) -> None:
        """Says what it is of, and how large its files are."""
        record = SnapshotRecord("1", {"memory": 5, "state": 2})
        self.assertEqual(SnapshotRecord.of_json(record.to_json()), record)
        self.assertEqual(record.size, 7)
        self.assertEqual(why_unusable(record, "1", {"state": 2, "memory": 5}), "")
        self.assertIn("has changed", why_unusable(record, "2", {"state": 2, "memory": 5}))
        self.assertIn("its files", why_unusable(record, "1", {"state": 2, "memory": 4}))
        self.assertIn("its files", why_unusable(record, "1", {"state": 2}))

    @given(
        st.text()
        | st.sampled_from(
            ['{"format": 1}', '{"format": 1, "fingerprint": "", "files": {"a": "b"}}', "[]", "null"]
        )
    )
    def test_no_record(self, text: str) -> None:
        self.assertRaises(ValueError, SnapshotRecord.of_json, text)
