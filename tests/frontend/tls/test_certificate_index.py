"""Which certificate is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.host_names import HostNames
from subproxy.frontend.tls.certificate import Certificate
from subproxy.frontend.tls.certificate_index import CertificateIndex


def made(*names: bytes, begin: float = 0, end: float = 100) -> Certificate:
    return Certificate(HostNames(names), (b"",), b"", begin, end, "")


LABEL = st.sampled_from([b"a", b"b", b"c"])
HOST = st.lists(LABEL, min_size=1, max_size=3).map(b".".join)
NAME = st.one_of(HOST, HOST.map(lambda host: b"*." + host))
CERTIFICATE = st.builds(
    lambda names, begin, end: made(*names, begin=begin, end=end),
    st.lists(NAME, min_size=1, max_size=3),
    st.sampled_from([0, 60]),
    st.integers(20, 100),
)


class CertificateIndexTests(SynchronousTestCase):
    def test_order(self) -> None:
        exact, wild, default = made(b"x.a.example"), made(b"*.a.example"), made(b"d.example")
        index = CertificateIndex([wild, exact, default], default)
        self.assertIs(index.find(b"x.a.example"), exact)
        self.assertIs(index.find(b"y.a.example"), wild)
        self.assertIs(index.find(b"z.y.a.example"), default)
        self.assertIs(index.find(None), default)
        self.assertIs(index.find(None, b"x.a.example"), exact)

    def test_no_default(self) -> None:
        index = CertificateIndex([made(b"a.example", b"192.0.2.1")])
        self.assertIsNone(index.find(b"b.example"))
        self.assertIsNone(index.find(None, b"192.0.2.2"))
        self.assertIsNotNone(index.find(None, b"192.0.2.1"))

    def test_spare(self) -> None:
        """They have only the names that no other one has, however long they last."""
        one, spare = made(b"a.example", end=60), made(b"a.example", b"b.example", b"*.c.example")
        index = CertificateIndex([one], None, 50, [spare])
        self.assertIs(index.find(b"a.example"), one)
        self.assertIs(index.find(b"b.example"), spare)
        self.assertIs(index.find(b"x.c.example"), spare)

    @given(st.lists(CERTIFICATE, max_size=5), HOST)
    def test_as_a_search_would_find_it(self, certificates: list[Certificate], host: bytes) -> None:
        """Exact before wildcard; valid before not; then who lasts longest; then the first."""
        now = 50.0

        def best(found: list[Certificate]) -> Certificate | None:
            return max(found, key=lambda each: (each.is_valid(now), each.not_after), default=None)

        exact = best([each for each in certificates if host in each.names.exact])
        wild = best([each for each in certificates if each.names.covers(host)])
        found = CertificateIndex(certificates, None, now).find(host)
        self.assertIs(found, exact or wild)
