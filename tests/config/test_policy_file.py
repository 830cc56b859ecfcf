"""The policy's file."""

from pathlib import Path

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.policy_file import PolicyFile
from subproxy.core.access.policy import Policy, PolicyError

GOOD = '[[guest]]\nidentity = "cid:10"\nhosts = ["a.example"]\n'


class PolicyFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(GOOD)
        self.policies: list[Policy] = []
        self.file = PolicyFile(str(self.path), self.policies.append)
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def said(self) -> list[str]:
        return [event["log_format"] for event in self.events]

    def test_read(self) -> None:
        """A good file is a policy."""
        self.assertIsNotNone(self.file.read().guest("cid:10"))

    def test_not_text(self) -> None:
        """A file that is no text is a policy error."""
        self.path.write_bytes(b"\xff\xfe")
        self.assertRaises(PolicyError, self.file.read)

    def test_reload(self) -> None:
        """A good file is put in force."""
        self.file.reload()
        self.assertEqual(len(self.policies), 1)
        self.assertIn("in force", self.said()[-1])

    def test_reload_of_a_bad_file(self) -> None:
        """A bad file changes nothing, and the log says line by line what is wrong."""
        self.path.write_text(GOOD + "hots = 1\nroutes = 0\n")
        self.file.reload()
        self.assertEqual(self.policies, [])
        self.assertEqual([event["line"] for event in self.events], [4, 5])

    def test_reload_without_file(self) -> None:
        """A file that is gone changes nothing."""
        self.path.unlink()
        self.file.reload()
        self.assertEqual(self.policies, [])
        self.assertIn("stays as it was", self.said()[-1])
