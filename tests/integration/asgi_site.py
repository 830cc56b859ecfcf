"""A FastAPI application, for test_applications: lifespan, uploads, events, background tasks."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import BackgroundTasks, FastAPI, File, Request, UploadFile, WebSocket
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse


def say(text: str) -> None:
    """For the test, which reads our log."""
    print(text, flush=True)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Begin, and end."""
    say(f"begins without {[name for name in ('twisted', 'zope') if name in sys.modules]}")
    say(f"on {type(asyncio.get_running_loop()).__mro__[-4].__module__}")
    yield {"opened": "yes"}
    say("ends")


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def hello(request: Request) -> dict[str, Any]:
    """What the application takes the request for."""
    return {"url": str(request.url), "opened": request.state.opened, "client": request.client.host}


@app.get("/blocking")
def blocking() -> PlainTextResponse:
    """Runs in a thread."""
    return PlainTextResponse("blocking")


@app.post("/digest")
async def digest(request: Request) -> PlainTextResponse:
    """The digest of a body as it comes."""
    found = hashlib.sha256()
    async for piece in request.stream():
        found.update(piece)
    return PlainTextResponse(found.hexdigest())


@app.post("/upload")
async def upload(file: Annotated[UploadFile, File()]) -> PlainTextResponse:
    """The length of a file in a form."""
    return PlainTextResponse(f"{file.filename} {len(await file.read())}")


@app.get("/file")
async def file() -> FileResponse:
    """This file."""
    return FileResponse(Path(__file__))


@app.get("/background")
async def background(tasks: BackgroundTasks) -> PlainTextResponse:
    """Goes on behind its response."""

    async def later() -> None:
        await asyncio.sleep(0.3)
        say("behind its response")

    tasks.add_task(later)
    return PlainTextResponse("begun")


@app.get("/events")
async def events(request: Request, most: int = 1_000_000) -> StreamingResponse:
    """Server-sent events, until the client leaves."""

    async def ticks() -> AsyncIterator[str]:
        try:
            for number in range(most):
                yield f"data: {number}\n\n"
                await asyncio.sleep(0.01)
        finally:
            say("no more events")

    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.get("/collect")
async def collect() -> PlainTextResponse:
    """Starlette leaves a generator to the collector if it is cancelled while it sends a piece."""
    gc.collect()
    return PlainTextResponse("collected")


@app.get("/breaking")
async def breaking() -> StreamingResponse:
    """A body that fails midway."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("on purpose")

    return StreamingResponse(pieces())


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """What few frameworks do: early hints, and trailers."""
    await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
    fields = [(b"trailer", b"x-digest")]
    await send({"type": "http.response.start", "status": 200, "headers": fields, "trailers": True})
    await send({"type": "http.response.body", "body": b"some, ", "more_body": True})
    await send({"type": "http.response.body", "body": b"and more"})
    await send({"type": "http.response.trailers", "headers": [(b"x-digest", b"abc")]})


app.mount("/plain", plain)


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    """Sends back what comes, and says how it ended."""
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocol=offered[-1] if offered else None)
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await socket.send_text(message["text"])
        else:
            await socket.send_bytes(message["bytes"])
    say(f"over: {message['code']} {message['reason']}")
