"""Tests of subproxy.app.auth_service_client, without a network."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web._newclient import ParseError
from twisted.web.client import ResponseDone, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers

from subproxy.app import auth_service_client as asc
from subproxy.core.sites.access_question import AccessVerdict, LetIn
from subproxy.core.sites.forward_auth import AuthService, ServiceQuestion
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.errors import AccessUnknown


class Agent:
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, Headers, Deferred[Any]]] = []
        self.cancelled = 0

    def request(self, method: bytes, uri: bytes, headers: Headers) -> Deferred[Any]:
        found: Deferred[Any] = Deferred(self.cancel)
        self.asked.append((method, uri, headers, found))
        return found

    def cancel(self, found: object) -> None:
        self.cancelled += 1


class Answer:
    """One of a service."""

    def __init__(
        self, code: int, body: bytes = b"", end: type[Exception] = ResponseDone, **fields: str
    ) -> None:
        self.code, self.body, self.end = code, body, end
        named = {name.replace("_", "-"): [value] for name, value in fields.items()}
        self.headers = Headers(named)

    def deliverBody(self, protocol: Any) -> None:
        protocol.dataReceived(self.body)
        protocol.connectionLost(Failure(self.end() if self.end is ResponseDone else self.end([])))


class AskingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.agent = Agent()
        self.client = asc.AuthServiceClient(self.clock, self.agent)
        self.service = AuthService(b"http://127.0.0.1/auth", 5.0, (b"x-user",), 10.0)

    def ask(self, cookie: bytes = b"a=b", client: bytes = b"192.0.2.7") -> list[AccessVerdict]:
        told: list[AccessVerdict] = []
        question = ServiceQuestion(self.service, [(b"Cookie", cookie)], client)
        self.give_up = self.client.ask(question, told.append)
        return told

    def answer(self, answer: Answer | Failure) -> None:
        self.agent.asked.pop()[3].callback(answer)

    def test_asked(self) -> None:
        told = self.ask()
        method, uri, headers, _ = self.agent.asked[0]
        self.assertEqual((method, uri), (b"GET", b"http://127.0.0.1/auth"))
        self.assertEqual(headers.getRawHeaders(b"cookie"), [b"a=b"])
        self.assertEqual((told, self.client.asked), ([], 1))
        self.answer(Answer(200, X_User="a", X_Other="b"))
        [verdict] = told
        assert isinstance(verdict, LetIn)
        self.assertEqual([(n.lower(), v) for n, v in verdict.fields], [(b"x-user", b"a")])
        self.assertEqual(self.client.asked, 0)
        self.give_up()

    def test_answered(self) -> None:
        told = self.ask()
        self.answer(Answer(302, b"there", Location="/sign-in"))
        self.assertEqual(told, [LocalAnswer(302, [(b"Location", b"/sign-in")], b"there")])
        self.assertEqual((self.ask(), len(self.agent.asked)), ([], 1))

    def test_why(self) -> None:
        """What an C{Agent} knows of it, in the words of an operator."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        within = ResponseNeverReceived([Failure(ConnectionDone())])
        for error, why in (
            (within, "Connection was closed cleanly."),
            (ResponseFailed([Failure(within)]), "Connection was closed cleanly."),
            (ResponseFailed([Failure(ParseError("no HTTP", b"x"))]), "('no HTTP', b'x')"),
            (RuntimeError(), "RuntimeError"),
        ):
            self.ask()
            self.agent.asked.pop()[3].errback(Failure(error))
            said = formatEvent(events.pop())
            self.assertEqual(said, f"http://127.0.0.1/auth does not say who is let in: {why}")

    def test_kept(self) -> None:
        """Of who was let in, for as long as both say; of what is the same in all."""
        self.ask()
        self.answer(Answer(200))
        self.clock.advance(9.9)
        self.assertEqual(self.ask(), [LetIn([])])
        self.assertEqual(self.ask(b"other"), [])
        self.answer(Answer(200, Cache_Control="no-store"))
        self.assertEqual(self.ask(b"other"), [])
        self.answer(Answer(401))
        self.clock.advance(0.2)
        self.assertEqual(self.ask(), [])
        self.answer(Answer(200))
        for number in range(asc.REMEMBERED):
            self.ask(b"%d" % number)
            self.answer(Answer(200))
        self.assertEqual((self.ask(), self.ask(b"7")), ([], [LetIn([])]))

    def test_not_kept(self) -> None:
        self.service = AuthService(b"http://127.0.0.1/auth")
        for _ in range(2):
            self.assertEqual(self.ask(), [])
            self.answer(Answer(200))

    def test_it_does_not_say(self) -> None:
        for answer in (
            Answer(500),
            Answer(200, b"x" * (asc.MAX_BODY + 1)),
            Answer(200, b"x", ResponseFailed),
            Failure(ConnectionRefusedError()),
        ):
            told = self.ask()
            self.answer(answer)
            [error] = told
            assert isinstance(error, AccessUnknown)
            self.assertEqual((error.status, self.client.asked), (503, 0))

    def test_no_answer(self) -> None:
        told = self.ask()
        self.clock.advance(4.9)
        self.assertEqual(told, [])
        self.clock.advance(0.2)
        self.assertIsInstance(told[0], AccessUnknown)
        self.assertEqual((self.agent.cancelled, self.client.asked), (1, 0))

    def test_given_up(self) -> None:
        told = self.ask()
        self.give_up()
        self.give_up()
        self.assertEqual((told, self.agent.cancelled, self.client.asked), ([], 1, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_how_many(self) -> None:
        """Of a client, and of all."""
        for number in range(asc.MAX_OF_CLIENT):
            self.assertEqual(self.ask(b"%d" % number), [])
        self.assertIsInstance(self.ask(b"more")[0], AccessUnknown)
        for number in range(asc.MAX_ASKED - asc.MAX_OF_CLIENT):
            self.assertEqual(self.ask(b"%d" % number, b"10.0.%d.1" % (number % 8)), [])
        self.assertIsInstance(self.ask(b"more", b"10.0.9.1")[0], AccessUnknown)
        self.answer(Answer(200))
        self.assertEqual(self.ask(b"more", b"10.0.9.1"), [])
        self.give_up()
        while self.agent.asked:
            _, _, _, found = self.agent.asked.pop()
            if not found.called:
                found.callback(Answer(200))
        self.assertEqual(self.client.asked, 0)
        for number in range(asc.MAX_OF_CLIENT):
            self.assertEqual(self.ask(b"again %d" % number), [])
