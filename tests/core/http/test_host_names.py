"""Names of hosts as certificates have them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.host_names import HostNames, parent

LABEL = st.sampled_from([b"a", b"b", b"www", b"x1", b"1"])
HOST = st.lists(LABEL, min_size=1, max_size=4).map(b".".join)
NAME = st.one_of(HOST, HOST.map(lambda host: b"*." + host))


def covered(names: list[bytes], host: bytes) -> bool:
    """RFC 9525, word by word."""
    for name in names:
        if name == host:
            return True
        if name.startswith(b"*.") and not host[-1:].isdigit():
            labels = host.split(b".")
            if labels[0] and b".".join(labels[1:]) == name[2:]:
                return True
    return False


class HostNamesTests(SynchronousTestCase):
    def test_covers(self) -> None:
        names = HostNames([b"A.example.", b"*.b.example", b"192.0.2.1", b"::1"])
        for good in (b"a.example", b"x.b.example", b"192.0.2.1", b"::1"):
            self.assertTrue(names.covers(good), good)
        for bad in (b"b.example", b"x.a.example", b"y.x.b.example", b".b.example", b""):
            self.assertFalse(names.covers(bad), bad)
        self.assertEqual(names.texts(), ["*.b.example", "192.0.2.1", "::1", "a.example"])

    def test_no_wildcard_for_addresses(self) -> None:
        self.assertEqual(parent(b"192.0.2.1"), b"")
        self.assertFalse(HostNames([b"*.0.2.1"]).covers(b"192.0.2.1"))

    @given(st.lists(NAME, max_size=4), HOST)
    def test_as_the_rfc_has_it(self, names: list[bytes], host: bytes) -> None:
        self.assertEqual(HostNames(names).covers(host), covered(names, host))
