"""Declares C{twistd subproxy}; imports nothing of it."""

from twisted.application.service import ServiceMaker

subproxy = ServiceMaker(
    "subproxy",
    "subproxy.tap",
    "A reverse proxy for applications that subscribe over vsock.",
    "subproxy",
)
