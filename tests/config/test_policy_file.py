"""The policy's file."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.policy_file import read_policy_file
from subproxy.core.access.policy import PolicyError

GOOD = '[[guest]]\nidentity = "cid:10"\nhosts = ["a.example"]\n'


class PolicyFileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(GOOD)

    def test_read(self) -> None:
        """A good file is a policy."""
        self.assertIsNotNone(read_policy_file(str(self.path)).guest("cid:10"))

    def test_not_text(self) -> None:
        """A file that is no text is a policy error."""
        self.path.write_bytes(b"\xff\xfe")
        self.assertRaises(PolicyError, read_policy_file, str(self.path))
