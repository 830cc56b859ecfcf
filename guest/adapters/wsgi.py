"""
WSGI applications (PEP 3333), in threads.

The event loop takes requests and gives answers; between them a request belongs to one thread.
Answers are gathered: while the loop has not come to those that are there, no thread wakes it.
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from tempfile import SpooledTemporaryFile
from typing import Any

from guest.adapters.wsgi_environ import EnvironMaker
from guest.adapters.wsgi_job import WsgiJob
from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.core.runtime import Runtime
from subproxy.wire.fields import Headers
from subproxy.wire.whole import WholeRequest

THREADS = 8
"""How many requests are answered at a time."""

HUNG = 30.0
"""Seconds after which a thread that is still at the same request has hung."""

SPOOL = 1 << 20
"""Bytes of a body of unknown length that lie in memory; beyond that they lie in a file."""


class WsgiAdapter:
    """
    Serves one WSGI application (L{guest.core.exchanges.ExchangeAdapter}).

    @ivar runtime: of the event loop.
    """

    def __init__(
        self,
        application: Any,
        runtime: Runtime,
        from_thread: Callable[[Callable[[], None]], object],
        *,
        root_path: str = "",
        threads: int = THREADS,
        hung: float = HUNG,
        spool: int = SPOOL,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Take an application; its threads start with the first request.

        @param from_thread: has the event loop call a function soon, from any thread.
        @param root_path: where it is mounted: without a slash at its end.
        @param hung: seconds after which a thread that is still at the same request has hung.
        @param spool: bytes of a body of unknown length that lie in memory.
        """
        self._application = application
        self.runtime = runtime
        self._from_thread = from_thread
        self._hung = hung
        self._spool_size = spool
        self._seconds = seconds
        self._environs = EnvironMaker(root_path, threads)
        self._jobs: SimpleQueue[WsgiJob | None] = SimpleQueue()
        self._busy: list[float | None] = [None] * threads
        self._threads: list[threading.Thread] = []
        self._posted: deque[Any] = deque()
        self._woken = False
        self._under_way = 0
        self._idle: Any = None

    lower_names = False

    # ExchangeAdapter.

    def whole(self, exchanges: Exchanges, found: WholeRequest) -> None:
        """Answer a request that is all here."""
        _, method, target, headers, info, body = found
        job = WsgiJob(self, exchanges, exchanges.promote(found))
        length = len(body) or None
        job.prepare(self._environs.make(method, target, headers, info, io.BytesIO(body), length))
        self._submit(job)

    def begun(self, exchanges: Exchanges, exchange: GuestExchange) -> None:
        """Answer a request whose body is to come, or that is unusual in another way."""
        request = exchange.request
        job = WsgiJob(self, exchanges, exchange)
        whole = request.body.whole
        if whole is not None:
            job.prepare(self._environ(exchange, io.BytesIO(whole), len(whole)))
            self._submit(job)
        elif request.header(b"content-length").isdigit():
            job.prepare(self._environ(exchange, job.stream_input(), None))
            self._submit(job)
        else:
            self.runtime.when_done(
                self.runtime.start(self._spool(job)), lambda error: self._spooled(job, error)
            )

    def _environ(self, exchange: GuestExchange, body: Any, length: int | None) -> dict[str, Any]:
        request = exchange.request
        info = request.connection_info()
        return self._environs.make(
            request.method, request.target, request.headers, info, body, length
        )

    async def _spool(self, job: WsgiJob) -> None:
        """Collect a body of unknown length: most frameworks read none without a length."""
        job.spooled = file = SpooledTemporaryFile(self._spool_size)  # noqa: SIM115 (the job does)
        incoming = job.exchange.request.body
        while (piece := await incoming.next()) is not None:
            file.write(piece)
        length = file.tell()
        file.seek(0)
        job.prepare(self._environ(job.exchange, file, length))

    def _spooled(self, job: WsgiJob, error: BaseException | None) -> None:
        if error is None:
            self._submit(job)
            return
        job.spooled.close()
        if isinstance(error, Exception):
            job.fail(error)

    # Threads.

    def _submit(self, job: WsgiJob) -> None:
        if not self._threads:
            self._start()
        self._under_way += 1
        self._jobs.put(job)

    def _start(self) -> None:
        for number in range(len(self._busy)):
            thread = threading.Thread(
                target=self._work, args=(number,), name=f"wsgi-{number}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _work(self, number: int) -> None:
        get, busy, seconds = self._jobs.get, self._busy, self._seconds
        application = self._application
        while (job := get()) is not None:
            busy[number] = seconds()
            job.run(application)
            busy[number] = None
            self.post(self._done)

    def _done(self) -> None:
        self._under_way -= 1
        if not self._under_way and self._idle is not None:
            idle, self._idle = self._idle, None
            self.runtime.resolve(idle, None)

    # What jobs want of the event loop.

    def post(self, function: Callable[[], object]) -> None:
        """Have the event loop call C{function} soon; from any thread."""
        self._post(function)

    def answered(self, job: WsgiJob, status: int, fields: Headers, body: bytes) -> None:
        """Have the event loop answer C{job} in one piece; from any thread."""
        self._post((job, status, fields, body))

    def _post(self, item: Any) -> None:
        self._posted.append(item)
        if not self._woken:
            self._woken = True
            try:
                self._from_thread(self._take)
            except RuntimeError:
                pass  # the event loop is over: this request was given up

    def _take(self) -> None:
        """Do what threads have asked for; one write for all answers of a connection."""
        self._woken = False
        posted = self._posted
        written: set[Exchanges] = set()
        while posted:
            item = posted.popleft()
            if type(item) is not tuple:
                item()
                continue
            job, status, fields, body = item
            job.exchanges.answer(job.exchange, status, fields, body)
            written.add(job.exchanges)
        for exchanges in written:
            exchanges.flush()

    # How it is.

    def hung(self) -> bool:
        """Whether all threads have been at their requests for longer than they may."""
        now = self._seconds()
        return all(since is not None and now - since >= self._hung for since in self._busy)

    async def finish(self, timeout: float) -> None:
        """
        Wait until nothing of the application runs, and end the threads.

        @param timeout: seconds after which what still runs is left to the end of the process.
        """
        if self._under_way:
            self._idle = idle = self.runtime.future()
            timer = self.runtime.later(timeout, self.runtime.resolve, idle, None)
            await idle
            timer.cancel()
        for _ in self._threads:
            self._jobs.put(None)
