"""docs/howto/many-hosts.md, as a reader types it."""

from __future__ import annotations

from tests.integration.etcd import SKIP
from tests.integration.harness import ROOT
from tests.integration.page_case import PageCase

PAGE = ROOT / "docs" / "howto" / "many-hosts.md"
PORTS = ("2379", "2380", "7441", "7442", "8081", "8082")
READY = ("ready to serve client requests", "guests on", "guests on", "registered")


class ManyHostsPageTests(PageCase):
    skip = SKIP

    def test_the_block(self) -> None:
        """Every command of it, in order; the servers until they answer."""
        told = self.follow(PAGE, "tests/integration/test_many_hosts_docs.py", PORTS, READY)
        self.assertRegex(told, r"(?m)^kvm-1 .* connected +ready +1 ")
        self.assertIn("store: watching; lease: held", told)
