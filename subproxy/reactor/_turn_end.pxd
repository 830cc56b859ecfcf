# The end of a turn of the reactor. See _turn_end.pyx.
from subproxy.reactor._engine cimport Handle


cdef class TurnEnd(Handle):
    cdef object gatherer


cdef TurnEnd turn_end(object transport, object gatherer)
