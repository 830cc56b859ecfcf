"""What a request by way of another host costs both hosts, in calls of Python functions."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.counted_calls import calls_so_far
from tests.integration.harness import Process
from tests.integration.host import Host
from tests.rigs.tls_rig import Authority

REQUESTS = 300
CALLS = "dataReceived,emptied"
"""Of functions that would be called for each request: something came; nothing is under way."""


skip = unavailable()


class CountedHost(Host):
    """A host whose proxy counts calls of Python functions."""

    def start(self, name: str, command: list[str], **environment: str) -> Process:
        if name != "proxy":
            return super().start(name, command, **environment)
        self.called = self.folder / "called"
        counted = [sys.executable, "-m", "tests.integration.called", *command[1:]]
        return super().start(
            name, counted, CALLED=str(self.called), CALLED_ONLY=CALLS, **environment
        )

    def calls(self) -> int:
        """So many so far."""
        assert self.proxy is not None
        return calls_so_far(self.proxy, self.called)


class PeerCostTests(SynchronousTestCase):
    def test_calls(self) -> None:
        """None is a request's, at either end, whichever has dialled."""
        authority = Authority()
        one, two = (CountedHost(name, authority) for name in ("kvm-1", "kvm-2"))
        for host, other in ((one, two), (two, one)):
            self.addCleanup(host.close)
            host.serve(other.peer)
        two.guest("Named")
        one.until_answered("kvm-2")
        client = one.connection()
        self.addCleanup(client.close)
        before = [host.calls() for host in (one, two)]
        for _ in range(REQUESTS):
            client.request("GET", "/", headers={"Host": "blog.example"})
            response = client.getresponse()
            self.assertEqual((response.status, response.read()), (200, b"kvm-2\n"))
        after = [host.calls() for host in (one, two)]
        found = [now - then for now, then in zip(after, before, strict=True)]
        self.assertLess(max(found), REQUESTS / 10, found)
