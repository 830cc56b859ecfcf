# cython: language_level=3, binding=False
"""On whose behalf the reactor calls, for what is logged meanwhile.

Twisted's reactors call every transport through C{log.callWithLogger}, which
computes the transport's log prefix and pushes it on a stack, for 2 µs a call,
nearly always for nobody to read. Here one entry is on that stack during a
turn, the ring notes whose turn it is, and the prefix is computed when asked for.
"""

from twisted.python import context
from twisted.python.log import ILogContext


cdef class LogContext(dict):
    """What C{context.get(ILogContext)} gives to who is called by the ring."""

    def __getitem__(self, key):
        return self.copy()[key]

    def get(self, key, default=None):
        return self.copy().get(key, default)

    def copy(self):
        prefix = "-"
        if self.owner is not None:
            try:
                prefix = self.owner.logPrefix()
            except Exception:
                prefix = "(buggy logPrefix method)"
        return {"system": prefix}


def contexts():
    """The stack of contexts of this thread."""
    return context.theContextTracker.currentContext().contexts


KEY = ILogContext
