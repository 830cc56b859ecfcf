# The end of a turn of the reactor. See _turn_end.pyx.
from subproxy.reactor._ring cimport Handle


cdef class TurnEnd(Handle):
    cdef object gatherer
