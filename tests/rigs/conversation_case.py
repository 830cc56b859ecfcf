"""What tests of both paths beside each other share."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.fastpath_rig import Pair
from tests.rigs.paths import ROOT

CORPUS = ROOT / "tests" / "corpus"
GET = b"GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n"


class ConversationCase(SynchronousTestCase):
    """A proxy on each path, with the same clients and guests."""

    def pair(self, **options: object) -> Pair:
        pair = Pair(**options)
        self.addCleanup(pair.close)
        return pair
