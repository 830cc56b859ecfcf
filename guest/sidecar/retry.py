"""Whether a request that got no answer may be sent once more (RFC 9110 section 9.2.2)."""

from __future__ import annotations

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
"""Methods that have the same effect when they come twice, of those that the proxy forwards."""


def may_repeat(method: bytes, *, reused: bool, written: bool, answered: bool, body: bool) -> bool:
    """
    Whether a request whose connection broke may go again, over a fresh connection.

    A fresh connection that breaks is the program's fault, and another would break as well.

    @param reused: the connection had carried a request before: the program may have closed it
        just when this one came.
    @param written: some of the request has been written; otherwise nobody can have executed it.
    @param answered: some of an answer has come.
    @param body: its body can be had (again): it is here whole, or nobody has taken any of it.
    """
    return reused and not answered and body and (not written or method in IDEMPOTENT)
