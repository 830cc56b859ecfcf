"""A name server for tests of ACME: every host is this machine; what a file says is in TXT."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet import defer, reactor
from twisted.names import common, dns, server


class Everything(common.ResolverBase):
    """Knows an address of every name, and the records of a file."""

    def __init__(self, records: Path) -> None:
        super().__init__()
        self.records = records

    def _lookup(self, name: bytes, cls: int, kind: int, timeout: Any) -> Any:
        found = []
        if kind == dns.A:
            found.append(dns.Record_A("127.0.0.1", 0))
        if kind == dns.TXT and self.records.exists():
            for line in self.records.read_text().splitlines():
                where, _, value = line.partition(" ")
                if where == name.decode().lower():
                    found.append(dns.Record_TXT(value.encode(), ttl=0))
        headers = [dns.RRHeader(name, each.TYPE, dns.IN, 0, each, auth=True) for each in found]
        return defer.succeed((headers, [], []))


factory = server.DNSServerFactory(clients=[Everything(Path(sys.argv[2]))])
reactor.listenUDP(int(sys.argv[1]), dns.DNSDatagramProtocol(factory), "127.0.0.1")
reactor.listenTCP(int(sys.argv[1]), factory, interface="127.0.0.1")
print("answers", flush=True)
reactor.run()
