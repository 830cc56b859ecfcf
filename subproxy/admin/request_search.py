"""What an operator pastes: a URL, the id of a request, or a trace."""

from __future__ import annotations

import re

from twisted.internet.defer import Deferred

from subproxy.admin.pages import Operations, Reply

_OWN = re.compile(r"[0-9a-f]{16}-[0-9a-f]{8,}|[0-9a-f]{32}")
"""An id that this proxy has made, or a trace: no host in use is called so."""


def search(admin: Operations, text: str) -> Reply | Deferred[Reply]:
    """
    The way of the request that is called C{text} (C{requests}); else what becomes of that URL.

    A trusted proxy's ids may look like a host and a path. So a text without a scheme is looked for
    among the ids first.
    """
    text = text.strip()
    if "//" in text:
        return admin.reply("explain", text)

    def found(reply: Reply) -> Reply | Deferred[Reply]:
        return reply if reply[1] == 200 or _OWN.fullmatch(text) else admin.reply("explain", text)

    reply = admin.reply("request", text)
    return reply.addCallback(found) if isinstance(reply, Deferred) else found(reply)
