# On whose behalf the reactor calls. See _context.pyx.


cdef class LogContext(dict):
    cdef object owner
