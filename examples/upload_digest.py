"""
Answers an upload of any size with its SHA-256, and holds no more than one window of it.

    python -m guest --host='digest\\.example' upload_digest:UploadDigest
    curl -T big.iso http://digest.example/
"""

import hashlib

from guest import Request, Response, SubscriberProtocol


class UploadDigest(SubscriberProtocol):
    """Reads as the client sends; if the client leaves, the coroutine is cancelled."""

    async def requestReceived(self, request: Request) -> Response:
        digest = hashlib.sha256()
        size = 0
        async for piece in request:
            digest.update(piece)
            size += len(piece)
        answer = f"{digest.hexdigest()}  {size}\n".encode()
        return Response(200, [(b"content-type", b"text/plain")], answer)
