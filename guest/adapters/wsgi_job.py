"""One request of a WSGI application, in a thread (PEP 3333)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Protocol

from guest.adapters.thread_queue import ThreadBodyQueue
from guest.adapters.wsgi_input import ClientLeft, FileWrapper, LentFile, PieceReader
from guest.core.errors import RequestAborted
from guest.core.exchange import GuestExchange
from guest.core.exchanges import Exchanges
from guest.core.response import BODILESS, Response
from guest.core.runtime import Runtime
from subproxy.wire.fields import Headers

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

_USUAL = {status.value: status.phrase.encode("latin-1") for status in HTTPStatus}


_ENCODED: dict[tuple[str, str], tuple[bytes, bytes]] = {}
"""Fields of responses that have come before, as bytes; L{_MOST} of them."""
_MOST = 1024
_LONGEST = 256

_LATE = "The application failed after its response"


def _encode(name: str, value: str) -> tuple[bytes, bytes]:
    """
    A field as bytes, remembered if it is short.

    @raise UnicodeEncodeError: it has what latin-1 has not.
    """
    encoded = name.encode("latin-1"), value.encode("latin-1")
    if len(name) + len(value) <= _LONGEST:
        if len(_ENCODED) >= _MOST:
            _ENCODED.clear()
        _ENCODED[name, value] = encoded
    return encoded


class JobHost(Protocol):
    """Who runs jobs."""

    runtime: Runtime

    def post(self, function: Callable[[], object]) -> None:
        """Have the event loop call C{function} soon; from any thread."""

    def answered(self, job: WsgiJob, status: int, fields: Headers, body: bytes) -> None:
        """Have the event loop answer C{job} in one piece; from any thread."""


class WsgiJob:
    """
    One request.

    @ivar gone: nobody waits for the answer any more.
    @ivar spooled: the request's body, if it was collected; closed at the end.
    """

    __slots__ = ("_environ", "_fields", "_head", "_host", "_left", "_queue", "_reason", "_status",
                 "_told", "exchange", "exchanges", "gone", "reader",
                 "spooled")  # fmt: skip
    _queue: ThreadBodyQueue

    def __init__(
        self,
        host: JobHost,
        exchanges: Exchanges,
        exchange: GuestExchange,
        environ: dict[str, Any] | None = None,
    ) -> None:
        """
        Prepare.

        @param environ: None: it is given when the body has been spooled.
        """
        self._host = host
        self._environ = environ
        self._head = False  # it was sent
        self._left: int | None = None  # of the length that the application has told
        self._told: int | None = None
        self._status = 0
        self._reason: bytes | None = None
        self._fields: Headers = []
        self.exchanges = exchanges
        self.exchange = exchange
        self.gone = False
        self.reader: PieceReader | None = None
        self.spooled: Any = None
        exchange.closed = self._ended

    def prepare(self, environ: dict[str, Any]) -> None:
        """The environment is here."""
        self._environ = environ

    # In the event loop.

    def _ended(self, reason: RequestAborted) -> None:
        self.gone = True
        if self._head:
            self._queue.close()

    def stream_input(self) -> io.BufferedReader:
        """The body as it comes, for C{wsgi.input}."""
        self.reader = reader = PieceReader(lambda: self._host.post(self._bring))
        return io.BufferedReader(reader, 65_536)

    def _bring(self) -> None:
        runtime = self._host.runtime
        runtime.when_done(runtime.start(self._next_piece()), lambda _: None)

    async def _next_piece(self) -> None:
        assert self.reader is not None
        try:
            self.reader.pieces.put(await self.exchange.request.body.next())
        except Exception as error:
            self.reader.pieces.put(error)

    def _begin(self, response: Response) -> None:
        """Send the head, and what the queue or the file gives."""
        exchange = self.exchange
        try:
            outgoing = exchange.begin(response)
        except Exception as error:
            self._queue.close()
            self.exchanges.fail(exchange, error)
            return
        if outgoing is None:
            self._queue.close()
        self.exchanges.carry(exchange, outgoing, response)

    def fail(self, error: Exception) -> None:
        """The application failed before it had begun its answer."""
        self.exchanges.fail(self.exchange, error)

    # In the thread.

    def run(self, application: Any) -> None:
        """Have the request answered."""
        try:
            if not self.gone:
                self._run(application)
        except ClientLeft as error:
            self._failed(RequestAborted("client", str(error)))
        except Exception as error:
            self._failed(error)
        except BaseException as error:
            # An application's exit is not ours: a thread must not end.
            self._failed(RuntimeError(f"the application wanted to end: {error!r}"))
        finally:
            if self.spooled is not None:
                self.spooled.close()

    def _failed(self, error: Exception) -> None:
        if not self._head:
            self._host.post(lambda: self.fail(error))
        elif not self._queue.fail(error) and not isinstance(error, RequestAborted):
            log = self._host.runtime.log
            self._host.post(lambda: log.failure(_LATE, error))

    def _run(self, application: Any) -> None:
        result = application(self._environ, self._start_response)
        try:
            if isinstance(result, FileWrapper) and not self._head and self._send_file(result):
                return
            if not self._head and isinstance(result, (list, tuple)):
                self._answer(b"".join(result))
                return
            self._iterate(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _iterate(self, result: Iterable[bytes]) -> None:
        answered = False
        for piece in result:
            if not isinstance(piece, bytes):
                raise TypeError(f"a WSGI body is made of bytes, not {type(piece).__name__}")
            if answered or not piece:
                continue  # what is more than was told is dropped
            if not self._head and self._status and self._told == len(piece):
                answered = True
                self._answer(piece)
                continue
            self._write(piece)
            if self.gone or self._queue.closed:
                return
        if answered or self.gone:
            return
        if not self._head:
            self._answer(b"")
        elif self._left:
            raise ValueError(f"the body is {self._left} bytes shorter than its content-length")
        else:
            self._queue.end()

    def _answer(self, body: bytes) -> None:
        """All of the body is here."""
        if not self._status:
            raise RuntimeError("the application returned without calling start_response")
        if self._reason is None and (self._told is None or self._told == len(body)):
            self._host.answered(self, self._status, self._fields, body)
            return
        response = Response(self._status, self._fields, body, reason=self._reason)
        self._host.post(lambda: self.exchanges.respond(self.exchange, response))

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], object]:
        """C{start_response}."""
        if exc_info is not None:
            try:
                if self._head:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._status:
            raise AssertionError("start_response was called twice, without exc_info")
        code, _, reason = status.partition(" ")
        if len(code) != 3 or not code.isdecimal():
            raise ValueError(f"a status begins with three digits, not {status!r}")
        number = int(code)
        phrase = reason.encode("latin-1")
        fields: Headers = []
        told = None
        for name, value in headers:
            known = _ENCODED.get((name, value))
            fields.append(known if known is not None else _encode(name, value))
            if len(name) == 14 and name.lower() == "content-length" and value.isdecimal():
                told = int(value)
        self._reason = None if phrase == _USUAL.get(number, b"") else phrase
        self._fields = fields
        self._told = self._left = told
        self._status = number
        return self._write

    def _write(self, piece: bytes) -> None:
        """C{write}: send C{piece} when there is room."""
        if not self._head:
            if not self._status:
                raise RuntimeError("the application gave a body before it called start_response")
            self._open()
        if self._left is not None:
            # What is more than was told would be another response, and an error of the length.
            piece = piece[: self._left]
            self._left -= len(piece)
        if piece:
            self._queue.put(piece)

    def _open(self, file: LentFile | None = None) -> None:
        self._queue = ThreadBodyQueue(self._host.runtime, self._host.post)
        if self.gone:
            self._queue.close()
        self._head = True
        body: Any = self._queue if file is None else _SentFile(file, self._queue)
        response = Response(self._status, self._fields, body, reason=self._reason)
        self._host.post(lambda: self._begin(response))

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Have the kernel send a file, and wait until it has: who gave it closes it then."""
        if not self._status or self._status in BODILESS:
            return False
        file = wrapper.as_body(self._told)
        if file is None:
            return False
        if self._told is None:
            self._fields.append((b"Content-Length", b"%d" % len(file)))
        self._open(file)  # type: ignore[arg-type]
        self._queue.wait_closed()
        return True


class _SentFile(LentFile):
    """A lent file that says when nobody needs it any more."""

    __slots__ = ("_queue",)

    def __init__(self, lent: LentFile, queue: ThreadBodyQueue) -> None:
        super().__init__(lent.file, settled=True)
        self.start, self.stop = lent.start, lent.stop
        self._queue = queue

    def close(self) -> None:
        self._queue.close()
