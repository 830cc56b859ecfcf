"""The tree of errors."""

from twisted.trial.unittest import SynchronousTestCase

from subproxy import errors


def tree(kind: type[errors.ProxyError]) -> list[type[errors.ProxyError]]:
    found = [kind]
    for each in kind.__subclasses__():
        found += tree(each)
    return found


class ErrorTests(SynchronousTestCase):
    def test_each_says_what_it_is(self) -> None:
        """Every error has a status, a code of its own kind, and words for a person."""
        for kind in tree(errors.ProxyError):
            error = kind()
            self.assertTrue(400 <= error.status <= 599)
            self.assertTrue(str(error))
            self.assertRegex(error.code, r"^[a-z-]+$")
            self.assertEqual(str(kind("because")), "because")

    def test_only_what_was_never_executed_is_safe_to_retry(self) -> None:
        """A guest that is gone may have executed the request."""
        safe = {kind for kind in tree(errors.ProxyError) if kind.retry_safe}
        self.assertEqual(safe, {*tree(errors.Unavailable), errors.GuestRefused})

    def test_statuses(self) -> None:
        """The statuses that clients see."""
        for kind, status in (
            (errors.NoRoute, 404),
            (errors.NoSubscriber, 503),
            (errors.GuestGone, 502),
            (errors.GuestSlow, 504),
            (errors.RequestTimeout, 408),
        ):
            self.assertEqual(kind().status, status)
        self.assertEqual(errors.ClientError("x", 413).status, 413)
        self.assertIsNotNone(errors.NoSubscriber().retry_after)
