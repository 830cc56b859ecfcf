# The ring, and what its completions are told to. See _ring.pyx and _turn.pyx.
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t

from subproxy.reactor._log_context cimport LogContext
from subproxy.reactor._uapi cimport ur_buf, ur_cqe, ur_sqe


cdef enum Tag:
    # What an operation is, in the low three bits of its user data.
    TAG_FINISHED = 0  # not an operation: a silent one is known to have succeeded
    TAG_RECEIVE = 1
    TAG_SEND = 2
    TAG_ACCEPT = 3
    TAG_EPOLL = 4
    TAG_SILENT = 5
    TAG_READY = 6
    TAG_ALARM = 7
    TAG_MASK = 7


cdef class Handle:
    cdef Ring ring
    cdef int ops
    cdef bint queued
    cdef PyObject *prev
    cdef PyObject *next
    cdef object __weakref__

    cdef int complete(self, int tag, int res, uint32_t flags) except -1
    cdef int settle(self) except -1
    cdef int orphan(self) except -1
    cdef int parted(self, Handle other) except -1


cdef class Ring:
    # The kernel's side: descriptors and mapped memory.
    cdef int fd
    cdef int enter_fd
    cdef unsigned enter_flags
    cdef unsigned wait_flags
    cdef unsigned generation
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
    cdef readonly int size
    cdef int stride
    cdef public bint capped  # the kernel lets multishot receives be limited, as far as is known
    cdef double alarm_at  # when we are woken at the latest
    # Our side.
    cdef unsigned sq_wanted
    cdef unsigned cq_wanted
    cdef list todo
    cdef list parked
    cdef PyObject **silent
    cdef int nsilent
    cdef int silent_room
    cdef int silent_done
    cdef PyObject *first
    cdef int depth
    cdef bint called
    cdef LogContext context
    cdef dict context_entry
    cdef list contexts
    cdef readonly bint looping
    cdef int epoll_fd
    cdef bint polled
    cdef object on_epoll
    cdef readonly unsigned long enters
    cdef readonly unsigned long starvations

    cdef bint live(self) noexcept
    cdef void unmap(self) noexcept
    cdef void *map(self, size_t size, long offset) except NULL
    cdef int open(self) except -1
    cdef void register(self) noexcept
    cdef void unregister(self) noexcept
    cdef int abandon(self) except -1
    cdef ur_sqe *sqe(self) except NULL
    cdef ur_sqe *prepare(self, Handle handle, int tag, int opcode, int fd) except NULL
    cdef ur_sqe *prepare_silent(self, Handle handle, int tag, int opcode, int fd) except NULL
    cdef int cancel(self, Handle handle, int tag) except -1
    cdef int close_fd(self, int fd) except -1
    cdef int flush(self) except -1
    cdef int enter(self, unsigned wait_nr, double timeout) except? -1
    cdef void link(self, Handle handle) noexcept
    cdef void unlink(self, Handle handle) noexcept
    cdef int finish_silent(self) except -1
    cdef int park(self, Handle handle) except -1
    cdef char *take(self, uint32_t flags) noexcept
    cdef void recycle(self, char *buffer) noexcept


cdef inline int enqueue(Handle handle) except -1:
    """Have the handle settled before the reactor sleeps next."""
    if not handle.queued:
        handle.queued = True
        handle.ring.todo.append(handle)
    return 0


cdef inline void calls(Handle handle) noexcept:
    """Python is about to be called on behalf of the handle.

    What is called may stop the reactor or make a timer, so a turn in which it
    was called before the wait does not wait.
    """
    handle.ring.called = True
    handle.ring.context.owner = handle
