"""
Checks of passwords, in a thread: one takes a tenth of a second, which the reactor does not have.

What they cost is bounded: one thread, so at most one core; so many that wait, and so many of one
client; and what was found out is remembered for a while, in a digest that means nothing outside of
this process. The thread has one at a time, and the others wait here: what nobody wants to know any
more is not checked, and a stop waits for one at most.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from subproxy.core.sites.access_question import AccessVerdict
from subproxy.core.sites.basic_auth import PasswordQuestion
from subproxy.core.sites.client_limits import ClientKey, client_key
from subproxy.core.sites.open_questions import OpenQuestions
from subproxy.errors import AccessUnknown

MAX_WAITING: Final = 64
"""Checks that wait, or are under way; whoever comes then gets 503."""

MAX_OF_CLIENT: Final = 4
"""Those of one client."""

GOOD_FOR: Final = 300.0
"""Seconds for which a right password need not be checked again; a wrong one C{BAD_FOR}."""

BAD_FOR: Final = 30.0

REMEMBERED: Final = 4096
"""Results of each kind that are remembered: who was here last is last to be forgotten."""

Told = Callable[[AccessVerdict], None]


@dataclass(eq=False)
class _Check:
    """
    One that is under way, and who waits for it.

    @ivar possible: whether the hash is that of who was named.
    """

    digest: bytes
    client: ClientKey
    password: bytes = field(repr=False)
    hashed: bytes = field(repr=False)
    possible: bool
    waiting: list[tuple[PasswordQuestion, Told]] = field(default_factory=list)


class PasswordChecks:
    """
    Checks passwords.

    @param reactor: runs the thread.
    @param run: compares a password with a hash, elsewhere; None: in a thread.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, run: Callable[[bytes, bytes], Deferred[bool]] | None = None
    ) -> None:
        self._reactor = reactor
        self._run = run or self._in_thread
        self._key = os.urandom(32)
        self._pool: ThreadPool | None = None
        self._stopped = False
        self._under_way: dict[bytes, _Check] = {}
        self._queue: deque[_Check] = deque()
        self._running: _Check | None = None
        self._open = OpenQuestions(MAX_WAITING, MAX_OF_CLIENT)
        self._known: dict[bool, OrderedDict[bytes, float]] = {
            True: OrderedDict(),
            False: OrderedDict(),
        }

    @property
    def under_way(self) -> int:
        """How many there are."""
        return self._open.count

    def ask(self, question: PasswordQuestion, told: Told) -> Callable[[], None]:
        """See L{subproxy.core.sites.access_question.AccessAsker}."""
        hashed, possible = question.users.hash_of(question.name)
        # Whose hash it is counts: one name is not let in by what was found out of another.
        digest = hashlib.blake2b(
            b"%d\0%b\0%b\0%b" % (possible, hashed, question.name, question.password),
            key=self._key,
        ).digest()
        known = self._remembered(digest)
        if known is not None:
            told(question.verdict(known))
            return _nothing
        check = self._under_way.get(digest)
        if check is None:
            client = client_key(question.client)
            if self._stopped or not self._open.begin(client):
                told(AccessUnknown("too many passwords are being checked"))
                return _nothing
            check = _Check(digest, client, question.password, hashed, possible)
            self._under_way[digest] = check
            self._queue.append(check)
        waits = (question, told)
        check.waiting.append(waits)
        self._next()

        def give_up() -> None:
            if waits in check.waiting:
                check.waiting.remove(waits)
                if not check.waiting and check in self._queue:
                    self._queue.remove(check)
                    self._over(check)

        return give_up

    def _next(self) -> None:
        """Begin with the check that has waited for longest, if none is being made."""
        if self._running is not None or self._stopped or not self._queue:
            return
        check = self._running = self._queue.popleft()
        found = self._run(check.password, check.hashed)
        found.addCallback(lambda good: self._done(check, good and check.possible))
        found.addErrback(lambda failure: self._failed(check, failure))
        found.addErrback(lambda failure: self._log.failure("a password", failure))

    def _done(self, check: _Check, good: bool) -> None:
        self._over(check)
        known = self._known[good]
        known[check.digest] = self._reactor.seconds() + (GOOD_FOR if good else BAD_FOR)
        if len(known) > REMEMBERED:
            known.popitem(last=False)
        self._tell(check, lambda question: question.verdict(good))

    def _failed(self, check: _Check, failure: Failure) -> None:
        self._log.failure("a password can't be checked", failure)
        if self._under_way.get(check.digest) is check:
            self._over(check)
            self._tell(check, lambda _: AccessUnknown())

    def _tell(self, check: _Check, verdict: Callable[[PasswordQuestion], AccessVerdict]) -> None:
        """Tell all who wait. What one of them makes of it keeps none of the others waiting."""
        while check.waiting:
            question, told = check.waiting.pop(0)
            try:
                told(verdict(question))
            except Exception:
                self._log.failure("what follows a password")
        self._next()

    def _over(self, check: _Check) -> None:
        if self._running is check:
            self._running = None
        del self._under_way[check.digest]
        self._open.end(check.client)

    def _remembered(self, digest: bytes) -> bool | None:
        for good, known in self._known.items():
            until = known.get(digest)
            if until is None:
                continue
            if until > self._reactor.seconds():
                known.move_to_end(digest)
                return good
            del known[digest]
        return None

    def _in_thread(self, password: bytes, hashed: bytes) -> Deferred[bool]:
        found: Deferred[bool] = deferToThreadPool(
            self._reactor, self._threads(), _bcrypt, password, hashed
        )
        return found

    def _threads(self) -> ThreadPool:
        if self._pool is None:
            self._pool = ThreadPool(0, 1, "passwords")
            self._pool.start()
            self._reactor.addSystemEventTrigger("during", "shutdown", self.stop)
        return self._pool

    def stop(self) -> None:
        """End the thread, and check no more."""
        self._stopped = True
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()


def _bcrypt(password: bytes, hashed: bytes) -> bool:
    import bcrypt

    return bcrypt.checkpw(password, hashed)


def _nothing() -> None:
    """There is nothing to give up."""
