# The exchanges of one guest that the compiled path has. See _fast_exchanges.pyx.
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._guest_tunnels cimport GuestTunnels
from subproxy.reactor._stream cimport Receiver


cdef struct Slot:
    uint64_t number
    PyObject *client


cdef class FastExchanges(Receiver):
    cdef Slot *slots
    cdef Py_ssize_t slot_count
    cdef readonly Py_ssize_t count
    cdef readonly GuestTunnels tunnels

    cdef FastClient find(self, uint64_t number)
    cdef FastClient find_tunnel(self, uint64_t number)
    cdef int put(self, FastClient client, uint64_t number) except -1
    cdef int drop(self, uint64_t number) except -1
    cdef int keep_tunnel(self, FastClient client, uint64_t number) except -1
    cdef list numbers(self, object most)
    cdef int grow(self) except -1
