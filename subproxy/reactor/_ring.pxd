# The ring. See _ring.pyx and _ring_turn.pyx.
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from subproxy.reactor._engine cimport Engine, Handle
from subproxy.reactor._uapi cimport ur_buf, ur_cqe, ur_sqe


cdef class Ring(Engine):
    # The kernel's side: descriptors and mapped memory.
    cdef int fd
    cdef int enter_fd
    cdef unsigned enter_flags
    cdef unsigned wait_flags
    cdef unsigned long thread
    cdef void *rings
    cdef size_t rings_size
    cdef ur_sqe *sqes
    cdef size_t sqes_size
    cdef uint32_t *sq_head
    cdef uint32_t *sq_tail
    cdef uint32_t *sq_flags
    cdef uint32_t *cq_head
    cdef uint32_t *cq_tail
    cdef ur_cqe *cqes
    cdef uint32_t sq_mask
    cdef uint32_t sq_entries
    cdef uint32_t cq_mask
    cdef uint32_t tail
    # Provided buffers.
    cdef ur_buf *bufs
    cdef char *pool
    cdef uint16_t buf_tail
    cdef int buffers
    cdef int held
    cdef int stride
    cdef uint64_t shifts  # 1 / (stride / SHIFT), of 32 bits behind the point, rounded up
    # Our side.
    cdef unsigned sq_wanted
    cdef unsigned cq_wanted
    cdef list parked
    cdef PyObject **silent
    cdef int nsilent
    cdef int silent_room
    cdef int silent_done
    cdef bint polled

    cdef void unmap(self) noexcept
    cdef void *map(self, size_t size, long offset) except NULL
    cdef void register(self) noexcept
    cdef void unregister(self) noexcept
    cdef ur_sqe *sqe(self) except NULL
    cdef ur_sqe *prepare(self, Handle handle, int tag, int opcode, int fd) except NULL
    cdef ur_sqe *prepare_silent(self, Handle handle, int tag, int opcode, int fd) except NULL
    cdef int enter(self, unsigned wait_nr, double timeout) except? -1
    cdef int finish_silent(self) except -1
