"""Which certificate is in force: that of a file, or the last good one that it had."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.certificate import DAY, Certificate, CertificateError
from subproxy.frontend.tls.certificate_files import CertificateFiles
from subproxy.frontend.tls.certificate_store import CertificateState, CertificateStore
from tests.frontend.tls.test_certificate_index import made

ONE = CertificateFiles("/one.pem")
TWO = CertificateFiles("/two.pem")
NOW = 1000 * DAY


def days(begin: float, end: float, *names: bytes) -> Certificate:
    return made(*(names or (b"a.example",)), begin=NOW + begin * DAY, end=NOW + end * DAY)


GOOD = days(-1, 90)


class CertificateStoreTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = CertificateStore()

    def see(self, **read: Certificate | CertificateError) -> None:
        """Those files are there, with that in them, if it is new."""
        found = {"one": ONE, "two": TWO}
        self.store.update(
            [found[name] for name in read],
            {found[name].path: value for name, value in read.items() if value is not GOOD},
            NOW,
        )

    def state(self, files: CertificateFiles = ONE) -> CertificateState:
        return self.store.held[files.path].state(NOW)

    def test_good(self) -> None:
        self.store.update([ONE], {ONE.path: GOOD}, NOW)
        self.assertIs(self.store.index.find(b"a.example"), GOOD)
        self.assertIs(self.state(), CertificateState.GOOD)
        self.see(one=GOOD)
        self.assertIs(self.store.index.find(b"a.example"), GOOD)

    def test_states(self) -> None:
        for certificate, state in (
            (days(-80, 13), CertificateState.SOON),
            (days(-1, 5), CertificateState.GOOD),  # of six days
            (days(-5, 1), CertificateState.SOON),
            (days(-9, -1), CertificateState.EXPIRED),
            (days(1, 90), CertificateState.NOT_YET),
        ):
            self.setUp()
            self.see(one=certificate)
            self.assertIs(self.state(), state)
            self.assertIs(self.store.index.find(b"a.example"), certificate)

    def test_unusable(self) -> None:
        self.see(one=CertificateError("no"))
        self.assertIs(self.state(), CertificateState.UNUSABLE)
        self.assertIsNone(self.store.index.find(b"a.example"))

    def test_replaced(self) -> None:
        for new in (days(-1, 91), days(-1, 10)):
            self.see(one=new)
            self.assertIs(self.store.index.find(b"a.example"), new)

    def test_what_is_no_good_replaces_nothing(self) -> None:
        first = days(-1, 80)
        self.see(one=first)
        for bad in (CertificateError("broken"), days(-9, -1), days(1, 90)):
            self.see(one=bad)
            self.assertIs(self.state(), CertificateState.KEPT)
            self.assertTrue(self.store.held[ONE.path].problem)
            self.assertIs(self.store.index.find(b"a.example"), first)
        last = days(-1, 70)
        self.see(one=last)
        self.assertIs(self.state(), CertificateState.GOOD)
        self.assertIs(self.store.index.find(b"a.example"), last)

    def test_expired_after_expired(self) -> None:
        """Of two that nobody believes the newer one."""
        self.see(one=days(-9, -5))
        newer = days(-9, -1)
        self.see(one=newer)
        self.assertIs(self.store.index.find(b"a.example"), newer)

    def test_what_is_not_valid_yet_waits(self) -> None:
        first, later = days(-1, 80), days(1, 90)
        self.see(one=first)
        self.see(one=later)
        self.assertIs(self.store.index.find(b"a.example"), first)
        self.store.update([ONE], {}, NOW + 2 * DAY)
        self.assertIs(self.store.index.find(b"a.example"), later)

    def test_removed(self) -> None:
        """It stays in force until it is forgotten."""
        first = days(-1, 80)
        self.see(one=first)
        self.see()
        self.assertIs(self.state(), CertificateState.REMOVED)
        self.assertIs(self.store.index.find(b"a.example"), first)
        self.see()
        self.assertEqual(self.store.forget_removed(NOW), [ONE.path])
        self.assertIsNone(self.store.index.find(b"a.example"))
        self.assertEqual(self.store.forget_removed(NOW), [])

    def test_moved(self) -> None:
        """Once others cover its names, one whose file is gone is forgotten."""
        self.see(one=days(-1, 80))
        other = days(-1, 10)
        self.see(two=other)
        self.assertEqual(list(self.store.held), [TWO.path])
        self.assertIs(self.store.index.find(b"a.example"), other)

    def test_removed_and_back(self) -> None:
        first = days(-1, 80)
        self.see(one=first)
        self.see()
        self.see(one=GOOD)  # the same as before
        self.assertIs(self.store.index.find(b"a.example"), first)
        self.assertFalse(self.store.held[ONE.path].removed)

    def test_default(self) -> None:
        """Also when its file is gone."""
        files = CertificateFiles("/default.pem", "", True)
        self.store.update([files], {files.path: GOOD}, NOW)
        other = days(-1, 80)
        self.store.update([TWO], {TWO.path: other}, NOW)
        self.assertIs(self.store.index.find(b"b.example"), GOOD)
        self.assertIs(self.store.index.find(b"a.example"), other)
