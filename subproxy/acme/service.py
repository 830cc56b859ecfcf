"""
Orders certificates for the names that are wanted, one after the other, in a thread of its own.

What is got goes into a folder that is watched like all others, so nobody is told of it here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from threading import Thread
from typing import Any, Final, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from subproxy.acme.authority import OrderFailed
from subproxy.acme.files import AcmeFiles
from subproxy.acme.schedule import KnownCertificate, NameSchedule, usual_renewal
from subproxy.core.access.token_bucket import TokenBucket
from subproxy.core.printable import printable

LOOK: Final = 5.0
"""Seconds between two looks at what is wanted."""

ORDERS_AN_HOUR: Final = 60
"""Orders in an hour at most, whatever is wanted; as many may come at once."""

ASK_AGAIN: Final = 6 * 3600.0
"""Seconds until an authority is asked again for the time of a renewal, if it could not be."""

Runner = Callable[[Callable[[], Any]], "Deferred[Any]"]
"""Runs something that blocks."""


class IAuthority(Protocol):
    """See L{Authority<subproxy.acme.authority.Authority>}; both calls block."""

    def order(self, name: str) -> bytes:
        """A certificate for C{name}, its chain and its key, in PEM."""

    def renewal(self, pem: bytes) -> tuple[float | None, float]:
        """When it is to be renewed, and when to ask again."""


Covering = Callable[[str, str], "tuple[bool, KnownCertificate] | None"]
"""The valid certificate that is shown for a name, if any, and whether it is that of a file."""


class AcmeService(Service):
    """
    See above.

    @param clock: what calls later.
    @param wall: the time of day, in seconds since the epoch.
    @param wanted: the names for which there are to be certificates.
    @param covering: what there is for a name; where that is not of our folder, nothing is ordered.
    @param random: from 0 to 1.
    @param run: runs what blocks, one call after the other; None: a thread.
    @ivar orders: how many there were, by how they ended.
    """

    _log = Logger()

    def __init__(
        self,
        clock: Any,
        wall: Callable[[], float],
        authority: IAuthority,
        files: AcmeFiles,
        wanted: Callable[[], Iterable[str]],
        covering: Covering,
        random: Callable[[], float],
        run: Runner | None = None,
    ) -> None:
        self.orders: Counter[str] = Counter(issued=0, failed=0)
        self._clock = clock
        self._wall = wall
        self._authority = authority
        self._files = files
        self._wanted = wanted
        self._covering = covering
        self._random = random
        self._pool: ThreadPool | None = None
        self._run = run or self._in_thread
        self._names: dict[str, NameSchedule] = {}
        self._bucket = TokenBucket(ORDERS_AN_HOUR / 3600, ORDERS_AN_HOUR, clock.seconds())
        self._busy = False
        self._next: IDelayedCall | None = None

    def startService(self) -> None:
        """Look at what is wanted, from now on."""
        super().startService()  # type: ignore[no-untyped-call]
        self._next = self._clock.callLater(0, self._look)

    def stopService(self) -> Deferred[None]:
        """Order nothing more; what is under way is left, and worth nothing before its end."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._next is not None:
            self._next.cancel()
            self._next = None
        pool, self._pool = self._pool, None
        if pool is not None and not self._busy:
            pool.stop()
        return succeed(None)

    def _in_thread(self, call: Callable[[], Any]) -> Deferred[Any]:
        if self._pool is None:
            self._pool = ThreadPool(0, 1, "acme")
            # An order may take minutes, for which no stop waits.
            self._pool.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
            self._pool.start()
        found: Deferred[Any] = deferToThreadPool(self._clock, self._pool, call)
        return found

    def _look(self) -> None:
        """Do the next thing that is due, if any; then look again."""
        self._next = None
        try:
            begun = self._begin()
        except Exception:
            self._log.failure("what certificates are wanted could not be looked at")
            begun = None
        if begun is None:
            self._again(LOOK)
            return
        self._busy = True
        begun.addBoth(self._done)
        begun.addErrback(lambda failure: self._log.failure("a bug in ACME", failure))

    def _done(self, result: object) -> object:
        self._busy = False
        self._again(0)
        return result

    def _again(self, seconds: float) -> None:
        if self.running:
            self._next = self._clock.callLater(seconds, self._look)

    def _begin(self) -> Deferred[Any] | None:
        """Begin what is due."""
        now = self._wall()
        wanted = list(self._wanted())
        for gone in self._names.keys() - set(wanted):
            del self._names[gone]
        for name in wanted:
            schedule = self._names.setdefault(name, NameSchedule())
            own = self._files.certificate_path(name)
            found = self._covering(name, own)
            if found is not None and not found[0]:
                continue  # the operator's own, or another one of ours
            known = None if found is None else found[1]
            if schedule.settles(known, now):
                continue
            if known is None:
                schedule.renew_at = 0.0
            elif now >= schedule.ask_at:
                return self._ask(name, schedule, own, known, now)
            if schedule.is_due(now) and self._bucket.take(self._clock.seconds()):
                schedule.replaces = known
                return self._order(name, schedule)
        return None

    # When to renew.

    def _ask(
        self, name: str, schedule: NameSchedule, path: str, known: KnownCertificate, now: float
    ) -> Deferred[Any]:
        usual = usual_renewal(known.not_before, known.not_after)

        def ask() -> tuple[float | None, float]:
            with open(path, "rb") as file:
                return self._authority.renewal(file.read())

        def told(found: tuple[float | None, float]) -> None:
            when, again = found
            schedule.renew_at = usual if when is None else when
            schedule.ask_at = max(again, now + LOOK)

        def not_told(failure: Failure) -> None:
            if not failure.check(OrderFailed, OSError):
                self._log.failure("a bug in ACME", failure)
            self._log.warn(
                "the authority does not say when the certificate of {name} is to be renewed: {why}",
                name=printable(name),
                why=printable(failure.getErrorMessage()),
            )
            schedule.renew_at = schedule.renew_at or usual
            schedule.ask_at = now + ASK_AGAIN

        return self._run(ask).addCallbacks(told, not_told)

    # Orders.

    def _order(self, name: str, schedule: NameSchedule) -> Deferred[Any]:
        self._log.info("a certificate for {name} is ordered", name=printable(name))

        def order() -> None:
            self._files.keep_certificate(name, self._authority.order(name))

        def issued(result: object) -> None:
            self.orders["issued"] += 1
            schedule.issued(self._wall())
            self._log.info("there is a certificate for {name}", name=printable(name))

        def failed(failure: Failure) -> None:
            if not failure.check(OrderFailed, OSError):
                self._log.failure("a bug in ACME", failure)
            self.orders["failed"] += 1
            limited = isinstance(failure.value, OrderFailed) and failure.value.limited
            pause = schedule.failed(self._wall(), limited, self._random)
            self._log.error(
                "no certificate for {name}: {why}; tried again in {seconds:.0f} s",
                name=printable(name),
                why=printable(failure.getErrorMessage()),
                seconds=pause,
            )

        return self._run(order).addCallbacks(issued, failed)
