"""
Why a connection between hosts is no TLS.

By itself: the compiled path knows it, and loads nothing of certificates where there are no hosts.
"""

from __future__ import annotations


class HostTlsBroken(Exception):
    """What the other end sent is no TLS, or its certificate is no good; the text says why."""
