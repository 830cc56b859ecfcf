# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""One io_uring: set-up, submission, provided buffers.

Its turns, with the completions, are in C{_ring_turn.pyx}.

Lifetimes, where each is handled:

* **Handles.** The user data of an operation is the address of its C{Handle}
  and a tag, never a descriptor. A handle with operations in the kernel is in
  a list of the ring, and the list counts as one reference; it leaves the list
  when the completion that ends its last operation has been seen. So a
  completion always finds its handle alive (C{prepare}, C{RingLoop.dispatch}).
* **Silent operations** (C{prepare_silent}) post a completion only when they
  did not do all they were asked to. They run while they are submitted, so
  when the submitting call has returned and the completion queue has been
  drained, what was not heard of has succeeded; until then the ring holds a
  reference (C{finish_silent}).
* **Descriptors.** Closing does not cancel. C{close_fd} is an entry behind the
  cancels and behind whatever is queued for that descriptor, so no entry can
  reach the next owner of the number.
* **Buffers** are copied or consumed before the ring gets them back
  (C{recycle}); who finds none is parked until one returns (C{park}), so a storm
  does not spin.
* **Forks and threads.** The ring is made by the first turn, in the thread
  that runs it. A child, or another thread, finds a ring that is not its own,
  forgets it untouched and makes another (C{live}, C{abandon}).
"""

from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.pythread cimport PyThread_get_thread_ident
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uintptr_t
from libc.string cimport memset
from posix.mman cimport (
    MAP_ANONYMOUS, MAP_FAILED, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED,
    PROT_READ, PROT_WRITE, mmap, munmap,
)
from posix.unistd cimport close

from subproxy.reactor._engine cimport (
    TAG_ACCEPT, TAG_FINISHED, TAG_READY, TAG_RECEIVE, TAG_SEND, TAG_SILENT, Engine, Handle,
)
from subproxy.reactor._iovec cimport msghdr
from subproxy.reactor._uapi cimport *

import os

cdef extern from "sys/mman.h" nogil:
    int madvise(void *, size_t, int)
    int MADV_DONTFORK

cdef enum:
    SHIFT = 64  # bytes between the end of one buffer and the start of the next

if ur_watch_forks() != 0:
    raise ImportError("pthread_atfork failed")


cdef extern from "poll.h" nogil:
    int POLLIN, POLLRDHUP

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_NOSIGNAL, MSG_WAITALL, SOCK_CLOEXEC, SOCK_NONBLOCK

cdef enum:
    LITTLE = 2047  # bytes of a message that is not large


cdef void point(ur_sqe *entry, const char *data, Py_ssize_t size, msghdr *header) noexcept:
    """What a send is to send."""
    if data == NULL:
        entry.addr = <uintptr_t>header
        entry.len = 1
    else:
        entry.addr = <uintptr_t>data
        entry.len = <uint32_t>min(size, 0x40000000)


cdef int fail(int result, str what) except -1:
    raise OSError(-result, f"{what}: {os.strerror(-result)}")


cdef class Ring(Engine):
    """An io_uring with one ring of provided buffers.

    C{epoll_fd} is polled by the ring, and C{on_epoll} called with no
    arguments when it is readable. C{entries} and C{completions} are the
    sizes of the two queues, C{buffers} (a power of two) and C{size} those of
    the receive buffers. Nothing is allocated before the first turn.
    """

    def __cinit__(self, int epoll_fd, on_epoll, *, unsigned entries=1024,
                  unsigned completions=8192, int buffers=512, int size=16384):
        if buffers <= 0 or buffers & (buffers - 1):
            raise ValueError("buffers must be a power of two")
        self.fd = -1
        self.sq_wanted = entries
        self.cq_wanted = completions
        self.buffers = buffers
        self.size = size
        # Buffers one behind the other at a multiple of 4096 would have their
        # first lines, the only ones a small message touches, share a few sets
        # of the cache. And there is room for a terminating zero.
        self.stride = (size + 2 * SHIFT - 1) // SHIFT * SHIFT
        if <uint64_t>buffers * self.stride >= <uint64_t>SHIFT << 32:
            raise ValueError("too many buffers")
        self.shifts = (<uint64_t>1 << 32) // (self.stride // SHIFT) + 1
        self.capped = True
        self.parked = []

    def __dealloc__(self):
        self.unmap()
        PyMem_Free(self.silent)

    # -- set-up -------------------------------------------------------------

    cdef bint live(self) noexcept:
        """Is there a ring, made by this thread of this process?"""
        return (self.fd >= 0 and self.generation == ur_generation
                and self.thread == <unsigned long>PyThread_get_thread_ident())

    cdef void unmap(self) noexcept:
        if self.fd < 0:
            return
        self.unregister()
        # In a forked child the two mappings of the ring are not there
        # (MADV_DONTFORK): something else may live at their addresses.
        if self.generation == ur_generation:
            munmap(self.rings, self.rings_size)
            munmap(self.sqes, self.sqes_size)
        close(self.fd)
        munmap(self.bufs, self.buffers * sizeof(ur_buf))
        munmap(self.pool, <size_t>self.buffers * self.stride)
        self.fd = -1

    cdef int abandon(self) except -1:
        """Let go of the ring; what was in flight is queued anew by its handle."""
        if self.fd < 0:
            return 0
        self.unmap()
        self.polled = False
        self.alarm_at = 0.0
        self.silent_done = self.nsilent
        self.finish_silent()
        return self.forsake()

    cdef int open(self) except -1:
        cdef ur_params p
        cdef ur_buf_reg reg
        cdef int r, i
        cdef char *base
        self.abandon()
        memset(&p, 0, sizeof(p))
        p.flags = (UR_SETUP_SINGLE_ISSUER | UR_SETUP_DEFER_TASKRUN
                   | UR_SETUP_SUBMIT_ALL | UR_SETUP_CQSIZE | UR_SETUP_TASKRUN_FLAG)
        p.cq_entries = self.cq_wanted
        r = ur_setup(self.sq_wanted, &p)
        if r < 0:
            fail(r, "io_uring_setup")
        if not (p.features & UR_FEAT_SINGLE_MMAP and p.features & UR_FEAT_NODROP
                and p.features & UR_FEAT_EXT_ARG and p.features & UR_FEAT_CQE_SKIP):
            close(r)
            raise OSError(95, "io_uring lacks a feature that is needed")
        self.fd = r
        self.generation = ur_generation
        self.thread = PyThread_get_thread_ident()
        self.rings = self.sqes = self.bufs = NULL
        self.pool = NULL
        try:
            self.rings_size = max(p.sq_off.array + p.sq_entries * sizeof(uint32_t),
                                  p.cq_off.cqes + p.cq_entries * sizeof(ur_cqe))
            self.rings = self.map(self.rings_size, UR_OFF_SQ_RING)
            self.sqes_size = p.sq_entries * sizeof(ur_sqe)
            self.sqes = <ur_sqe *>self.map(self.sqes_size, UR_OFF_SQES)
            base = <char *>self.rings
            self.sq_head = <uint32_t *>(base + p.sq_off.head)
            self.sq_tail = <uint32_t *>(base + p.sq_off.tail)
            self.sq_flags = <uint32_t *>(base + p.sq_off.flags)
            self.sq_mask = (<uint32_t *>(base + p.sq_off.ring_mask))[0]
            self.sq_entries = p.sq_entries
            self.cq_head = <uint32_t *>(base + p.cq_off.head)
            self.cq_tail = <uint32_t *>(base + p.cq_off.tail)
            self.cq_mask = (<uint32_t *>(base + p.cq_off.ring_mask))[0]
            self.cqes = <ur_cqe *>(base + p.cq_off.cqes)
            for i in range(<int>p.sq_entries):  # entry i of the queue is sqe i, for good
                (<uint32_t *>(base + p.sq_off.array))[i] = i
            self.tail = self.sq_tail[0]
            self.bufs = <ur_buf *>self.map(self.buffers * sizeof(ur_buf), -1)
            self.pool = <char *>self.map(<size_t>self.buffers * self.stride, -2)
            # The kernel hands the buffers out in turn, so that the beginnings of all of them are
            # touched sooner or later: now, for memory that grows then looks like a leak. Their
            # ends are touched by whoever has so much to say, if ever.
            for i in range(self.buffers):
                base = self.pool + <long>i * self.stride
                base[0] = base[min(LITTLE, self.size)] = 0
            memset(&reg, 0, sizeof(reg))
            reg.ring_addr = <uintptr_t>self.bufs
            reg.ring_entries = self.buffers
            r = ur_register(self.fd, UR_REGISTER_PBUF_RING, &reg, 1)
            if r < 0:
                fail(r, "io_uring_register(PBUF_RING)")
        except BaseException:
            self.unmap()
            raise
        self.buf_tail = 0
        self.held = self.buffers
        for i in range(self.buffers):
            self.recycle(self.pool + <long>i * self.stride)
        self.enter_flags = UR_ENTER_GETEVENTS
        self.enter_fd = self.fd
        if self.looping:
            self.register()
        # Newer kernels can be asked not to count an idle reactor as waiting
        # for a disk.
        self.wait_flags = UR_ENTER_NO_IOWAIT if p.features & UR_FEAT_NO_IOWAIT else 0
        return 0

    cdef void register(self) noexcept:
        """Let the kernel find the ring by an index of this thread.

        That saves it a look into the descriptor table at every call; where it
        refuses, nothing else is lost. But what is registered outlives its
        descriptor until this thread unregisters it: so it is done only while a
        main loop runs, and a reactor may change threads in between.
        """
        cdef ur_rsrc_update update
        memset(&update, 0, sizeof(update))
        update.offset = <uint32_t>-1
        update.data = self.fd
        if ur_register(self.fd, UR_REGISTER_RING_FDS, &update, 1) == 1:
            self.enter_fd = update.offset
            self.enter_flags |= UR_ENTER_REGISTERED_RING

    cdef void unregister(self) noexcept:
        cdef ur_rsrc_update update
        if self.enter_flags & UR_ENTER_REGISTERED_RING and self.live():
            memset(&update, 0, sizeof(update))
            update.offset = self.enter_fd
            ur_register(self.fd, UR_UNREGISTER_RING_FDS, &update, 1)
            self.enter_fd = self.fd
            self.enter_flags = UR_ENTER_GETEVENTS

    def begin(self):
        super().begin()
        self.register()

    cdef int release(self) except -1:
        self.unregister()
        return 0

    cdef void *map(self, size_t size, long offset) except NULL:
        """Memory of the ring at C{offset}; ordinary memory where that is -1, or -2: when touched."""
        cdef void *at
        if offset < 0:
            at = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_ANONYMOUS | MAP_PRIVATE | (MAP_POPULATE if offset == -1 else 0), -1, 0)
        else:
            at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                      self.fd, offset)
        if at == MAP_FAILED:
            raise MemoryError("mmap")
        if offset >= 0:
            madvise(at, size, MADV_DONTFORK)
        return at

    @property
    def descriptor(self):
        """The ring's descriptor, or -1 while there is none."""
        return self.fd

    @property
    def spare(self):
        """How many receive buffers the kernel has or may have filled."""
        return self.buffers - self.held

    # -- submission ---------------------------------------------------------

    cdef ur_sqe *sqe(self) except NULL:
        """An empty submission entry. It is submitted by the next C{enter}."""
        cdef ur_sqe *entry
        cdef int attempts = 0
        if not self.live():  # not yet, or forked while a turn was on
            self.open()
        while self.tail - ur_load_acquire(self.sq_head) == self.sq_entries:
            self.flush()
            attempts += 1
            if attempts > 1000:
                raise MemoryError("the kernel takes no io_uring submissions")
        entry = &self.sqes[self.tail & self.sq_mask]
        self.tail += 1
        memset(entry, 0, sizeof(ur_sqe))
        return entry

    cdef ur_sqe *prepare(self, Handle handle, int tag, int opcode, int fd) except NULL:
        """An entry of an operation whose every completion goes to C{handle}."""
        cdef ur_sqe *entry = self.sqe()
        entry.opcode = opcode
        entry.fd = fd
        entry.user_data = <uintptr_t><PyObject *>handle | tag
        handle.ops += 1
        if handle.ops == 1:
            self.link(handle)
        return entry

    cdef ur_sqe *prepare_silent(self, Handle handle, int tag, int opcode, int fd) except NULL:
        """An entry of an operation that is to be heard of only when it falls short.

        It must be one that never waits (MSG_DONTWAIT). C{Handle.settle} is not
        called for its success: C{finish_silent} says what is.
        """
        cdef ur_sqe *entry
        cdef PyObject **room
        if self.nsilent == self.silent_room:
            room = <PyObject **>PyMem_Realloc(
                self.silent, (self.silent_room + 256) * sizeof(PyObject *))
            if room == NULL:
                raise MemoryError
            self.silent = room
            self.silent_room += 256
        entry = self.sqe()
        entry.opcode = opcode
        entry.fd = fd
        entry.flags = UR_SQE_CQE_SKIP_SUCCESS
        entry.user_data = <uintptr_t><PyObject *>handle | tag
        Py_INCREF(handle)
        self.silent[self.nsilent] = <PyObject *>handle
        self.nsilent += 1
        return entry

    cdef int finish_silent(self) except -1:
        """Tell the handles of silent operations that nothing more will come.

        They are told by a completion of their own, with tag 0.
        """
        cdef Handle handle
        while self.silent_done:
            self.silent_done -= 1
            handle = <Handle>self.silent[self.silent_done]
            self.nsilent -= 1
            self.silent[self.silent_done] = self.silent[self.nsilent]
            Py_DECREF(handle)
            handle.complete(TAG_FINISHED, 0, 0)
        return 0

    cdef bint receive(self, Handle handle, int fd, int most) except -1:
        cdef ur_sqe *entry = self.prepare(handle, TAG_RECEIVE, UR_OP_RECV, fd)
        entry.flags = UR_SQE_BUFFER_SELECT
        entry.ioprio = UR_RECV_MULTISHOT
        # Without a limit it takes half a megabyte at once, before anybody can say that the
        # rest is for somebody else, who would not copy it.
        if self.capped:
            entry.file_index = most  # optlen
        return self.capped

    cdef int receive_into(self, Handle handle, Handle owner, int fd,
                          char *buffer, Py_ssize_t size) except -1:
        cdef ur_sqe *entry = self.prepare(handle, TAG_RECEIVE, UR_OP_RECV, fd)
        entry.addr = <uintptr_t>buffer
        entry.len = <uint32_t>size
        entry.op_flags = MSG_DONTWAIT
        return 0

    cdef int await_readable(self, Handle handle, Handle owner, int fd) except -1:
        cdef ur_sqe *entry = self.prepare(handle, TAG_READY, UR_OP_POLL_ADD, fd)
        entry.op_flags = POLLIN | POLLRDHUP
        return 0

    cdef int send(self, Handle handle, Handle owner, int fd,
                  const char *data, Py_ssize_t size, msghdr *header) except -1:
        cdef ur_sqe *entry = self.prepare(
            handle, TAG_SEND, UR_OP_SENDMSG if data == NULL else UR_OP_SEND, fd)
        entry.op_flags = MSG_WAITALL | MSG_NOSIGNAL
        point(entry, data, size, header)
        return 0

    cdef bint send_silent(self, Handle handle, int fd,
                          const char *data, Py_ssize_t size, msghdr *header) except -1:
        cdef ur_sqe *entry = self.prepare_silent(
            handle, TAG_SILENT, UR_OP_SENDMSG if data == NULL else UR_OP_SEND, fd)
        entry.op_flags = MSG_WAITALL | MSG_NOSIGNAL | MSG_DONTWAIT
        point(entry, data, size, header)
        return False

    cdef int accept(self, Handle handle, int fd, bint many) except -1:
        cdef ur_sqe *entry = self.prepare(handle, TAG_ACCEPT, UR_OP_ACCEPT, fd)
        if many:
            entry.ioprio = UR_ACCEPT_MULTISHOT
        entry.op_flags = SOCK_NONBLOCK | SOCK_CLOEXEC
        return 0

    cdef int nudge(self, Handle handle) except -1:
        self.prepare(handle, TAG_FINISHED, UR_OP_NOP, -1)
        return 0

    cdef int cancel(self, Handle handle, Handle owner, int tag) except -1:
        """Queue the cancelling of C{handle}'s operation of that tag.

        Its own completion tells nothing that the cancelled operation's does
        not, and the two come in either order: it is dropped.
        """
        cdef ur_sqe *entry = self.sqe()
        entry.opcode = UR_OP_ASYNC_CANCEL
        entry.fd = -1
        entry.addr = <uintptr_t><PyObject *>handle | tag
        entry.flags = UR_SQE_CQE_SKIP_SUCCESS
        return 0

    cdef int close_fd(self, Handle owner, int fd) except -1:
        """Queue the closing of a descriptor, behind all that is queued for it."""
        cdef ur_sqe *entry = self.sqe()
        entry.opcode = UR_OP_CLOSE
        entry.fd = fd
        entry.flags = UR_SQE_CQE_SKIP_SUCCESS
        if not self.looping and self.depth == 0:
            self.flush()  # no turn is sure to follow
        return 0

    cdef int flush(self) except -1:
        """Submit what is queued, without waiting."""
        self.enter(0, 0.0)
        return 0

    cdef int enter(self, unsigned wait_nr, double timeout) except? -1:
        """The one system call: submit everything, wait for C{wait_nr} completions.

        A negative timeout, in seconds, waits for ever. Running out of time,
        a signal, and a kernel that is short of memory just end the wait.
        """
        cdef ur_timespec ts
        cdef ur_wait arg
        cdef void *argument = NULL
        cdef size_t size = 0
        cdef unsigned flags = self.enter_flags
        cdef unsigned submit = self.tail - ur_load_acquire(self.sq_head)
        cdef int r
        ur_store_release(self.sq_tail, self.tail)
        if wait_nr:
            flags |= self.wait_flags
            if timeout >= 0:
                timeout = min(timeout, 1e6)  # (infinity is a time, too)
                ts.tv_sec = <long>timeout
                ts.tv_nsec = <long>((timeout - <double>ts.tv_sec) * 1e9)
                memset(&arg, 0, sizeof(arg))
                arg.ts = <uintptr_t>&ts
                argument = &arg
                size = sizeof(arg)
                flags |= UR_ENTER_EXT_ARG
            with nogil:
                r = ur_enter(self.enter_fd, submit, wait_nr, flags, argument, size)
        else:
            r = ur_enter(self.enter_fd, submit, 0, flags, NULL, 0)
        self.enters += 1
        if ur_load_acquire(self.sq_head) == self.tail:
            self.silent_done = self.nsilent
        if r < 0 and r != -EINTR and r != -ETIME and r != -EAGAIN and r != -EBUSY:
            fail(r, "io_uring_enter")
        return r

    # -- buffers ------------------------------------------------------------

    cdef char *take(self, uint32_t flags) noexcept:
        """The buffer that a completion with these flags has filled."""
        self.held += 1
        return self.pool + <long>(flags >> UR_CQE_BUFFER_SHIFT) * self.stride

    cdef void recycle(self, char *buffer) noexcept:
        """Give a buffer back to the kernel."""
        # Not through a struct assignment: entry 0 holds the ring's tail too.
        cdef ur_buf *entry = &self.bufs[self.buf_tail & (self.buffers - 1)]
        entry.addr = <uintptr_t>buffer
        entry.len = self.size
        # A division by the stride, which is a multiple of SHIFT.
        entry.bid = <uint16_t>((<uint64_t>(buffer - self.pool) // SHIFT * self.shifts) >> 32)
        self.buf_tail += 1
        self.held -= 1
        ur_store_release16(&self.bufs[0].tail, self.buf_tail)

    cdef int park(self, Handle handle) except -1:
        """Settle the handle when there is a buffer again: it found none."""
        self.starvations += 1
        self.parked.append(handle)
        return 0
