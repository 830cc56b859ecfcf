"""
Checks of passwords, in a thread: one takes a tenth of a second, which the reactor does not have.

What they cost is bounded: one thread, so at most one core; so many that wait, and so many of one
client; and what was found out is remembered for a while, in a digest that means nothing outside of
this process.
"""

from __future__ import annotations

import os
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from subproxy.core.sites.access_question import AccessVerdict
from subproxy.core.sites.basic_auth import PasswordQuestion
from subproxy.core.sites.client_limits import ClientKey, client_key
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
    """One that is under way, and who waits for it."""

    client: ClientKey
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
        self._under_way: dict[bytes, _Check] = {}
        self._of_client: Counter[ClientKey] = Counter()
        self._known: dict[bool, OrderedDict[bytes, float]] = {
            True: OrderedDict(),
            False: OrderedDict(),
        }

    @property
    def under_way(self) -> int:
        """How many there are."""
        return len(self._under_way)

    def ask(self, question: PasswordQuestion, told: Told) -> Callable[[], None]:
        """See L{subproxy.core.sites.access_question.AccessAsker}."""
        hashed, possible = question.users.hash_of(question.name)
        digest = blake2b(
            b"%b\0%b\0%b" % (hashed, question.name, question.password), key=self._key
        ).digest()
        known = self._remembered(digest)
        if known is not None:
            told(question.verdict(known))
            return _nothing
        check = self._under_way.get(digest)
        if check is None:
            client = client_key(question.client)
            if len(self._under_way) >= MAX_WAITING or self._of_client[client] >= MAX_OF_CLIENT:
                told(AccessUnknown("too many passwords are being checked"))
                return _nothing
            check = self._begin(digest, client, question.password, hashed, possible)
        waits = (question, told)
        check.waiting.append(waits)

        def give_up() -> None:
            if waits in check.waiting:
                check.waiting.remove(waits)

        return give_up

    def _begin(
        self, digest: bytes, client: ClientKey, password: bytes, hashed: bytes, possible: bool
    ) -> _Check:
        check = self._under_way[digest] = _Check(client)
        self._of_client[client] += 1
        found = self._run(password, hashed)
        found.addCallback(lambda good: self._done(digest, check, good and possible))
        found.addErrback(lambda failure: self._failed(digest, check, failure))
        found.addErrback(lambda failure: self._log.failure("a password", failure))
        return check

    def _done(self, digest: bytes, check: _Check, good: bool) -> None:
        self._over(digest, check)
        known = self._known[good]
        known[digest] = self._reactor.seconds() + (GOOD_FOR if good else BAD_FOR)
        if len(known) > REMEMBERED:
            known.popitem(last=False)
        for question, told in check.waiting[:]:
            told(question.verdict(good))

    def _failed(self, digest: bytes, check: _Check, failure: Failure) -> None:
        if self._under_way.get(digest) is not check:
            self._log.failure("what follows a password", failure)
            return
        self._over(digest, check)
        self._log.failure("a password can't be checked", failure)
        for _, told in check.waiting[:]:
            told(AccessUnknown())

    def _over(self, digest: bytes, check: _Check) -> None:
        del self._under_way[digest]
        self._of_client[check.client] -= 1
        if not self._of_client[check.client]:
            del self._of_client[check.client]

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
        """End the thread."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()


def _bcrypt(password: bytes, hashed: bytes) -> bool:
    import bcrypt

    return bcrypt.checkpw(password, hashed)


def _nothing() -> None:
    """There is nothing to give up."""
