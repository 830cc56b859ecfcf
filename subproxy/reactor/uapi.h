/* The part of the kernel's io_uring interface that this package uses.
 *
 * Written out here, under names of our own, so that the extension builds on a
 * host whose kernel headers are older than its kernel, and so that nothing but
 * the C library is needed at run time. The layouts are the kernel's stable
 * ABI (io_uring(7), io_uring_setup(2), io_uring_enter(2), io_uring_register(2));
 * the assertions below keep a slip from becoming a crash.
 */
#ifndef SUBPROXY_UAPI_H
#define SUBPROXY_UAPI_H

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One number for every architecture of Linux but alpha. */
#define UR_NR_SETUP 425
#define UR_NR_ENTER 426
#define UR_NR_REGISTER 427

struct ur_sqe { /* submission: 64 bytes, unions flattened to what is used */
    uint8_t opcode;
    uint8_t flags;
    uint16_t ioprio; /* flags of receive, send and accept live here */
    int32_t fd;
    uint64_t off;
    uint64_t addr;
    uint32_t len;
    uint32_t op_flags; /* msg_flags, accept_flags, poll events, cancel flags */
    uint64_t user_data;
    uint16_t buf_group;
    uint16_t personality;
    int32_t file_index;
    uint64_t addr3;
    uint64_t pad;
};

struct ur_cqe { /* completion */
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

struct ur_sq_offsets {
    uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
    uint64_t user_addr;
};

struct ur_cq_offsets {
    uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
    uint64_t user_addr;
};

struct ur_params {
    uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle;
    uint32_t features, wq_fd, resv[3];
    struct ur_sq_offsets sq_off;
    struct ur_cq_offsets cq_off;
};

struct ur_timespec {
    int64_t tv_sec;
    int64_t tv_nsec;
};

struct ur_wait { /* struct io_uring_getevents_arg */
    uint64_t sigmask;
    uint32_t sigmask_sz;
    uint32_t min_wait_usec;
    uint64_t ts;
};

struct ur_buf { /* one entry of a provided-buffer ring */
    uint64_t addr;
    uint32_t len;
    uint16_t bid;
    uint16_t tail; /* of the whole ring, in entry 0 alone */
};

struct ur_buf_reg {
    uint64_t ring_addr;
    uint32_t ring_entries;
    uint16_t bgid;
    uint16_t flags;
    uint64_t resv[3];
};

struct ur_rsrc_update {
    uint32_t offset;
    uint32_t resv;
    uint64_t data;
};

_Static_assert(sizeof(struct ur_sqe) == 64, "io_uring_sqe");
_Static_assert(sizeof(struct ur_cqe) == 16, "io_uring_cqe");
_Static_assert(sizeof(struct ur_params) == 120, "io_uring_params");
_Static_assert(sizeof(struct ur_wait) == 24, "io_uring_getevents_arg");
_Static_assert(sizeof(struct ur_buf) == 16, "io_uring_buf");
_Static_assert(sizeof(struct ur_buf_reg) == 40, "io_uring_buf_reg");

enum {
    UR_OP_NOP = 0,
    UR_OP_POLL_ADD = 6,
    UR_OP_SENDMSG = 9,
    UR_OP_TIMEOUT = 11,
    UR_OP_TIMEOUT_REMOVE = 12,
    UR_OP_ACCEPT = 13,
    UR_OP_ASYNC_CANCEL = 14,
    UR_OP_CLOSE = 19,
    UR_OP_SEND = 26,
    UR_OP_RECV = 27,

    UR_SQE_BUFFER_SELECT = 1 << 5,
    UR_SQE_CQE_SKIP_SUCCESS = 1 << 6,

    UR_RECVSEND_POLL_FIRST = 1 << 0,
    UR_RECV_MULTISHOT = 1 << 1,
    UR_ACCEPT_MULTISHOT = 1 << 0,

    UR_TIMEOUT_UPDATE = 1 << 1,

    UR_CQE_F_BUFFER = 1 << 0,
    UR_CQE_F_MORE = 1 << 1,
    UR_CQE_BUFFER_SHIFT = 16,

    UR_SQ_CQ_OVERFLOW = 1 << 1,
    UR_SQ_TASKRUN = 1 << 2,

    UR_SETUP_CQSIZE = 1 << 3,
    UR_SETUP_SUBMIT_ALL = 1 << 7,
    UR_SETUP_TASKRUN_FLAG = 1 << 9,
    UR_SETUP_SINGLE_ISSUER = 1 << 12,
    UR_SETUP_DEFER_TASKRUN = 1 << 13,

    UR_ENTER_GETEVENTS = 1 << 0,
    UR_ENTER_EXT_ARG = 1 << 3,
    UR_ENTER_REGISTERED_RING = 1 << 4,
    UR_ENTER_NO_IOWAIT = 1 << 7,

    UR_FEAT_SINGLE_MMAP = 1 << 0,
    UR_FEAT_NODROP = 1 << 1,
    UR_FEAT_EXT_ARG = 1 << 8,
    UR_FEAT_CQE_SKIP = 1 << 11,
    UR_FEAT_NO_IOWAIT = 1 << 17,

    UR_REGISTER_RING_FDS = 20,
    UR_UNREGISTER_RING_FDS = 21,
    UR_REGISTER_PBUF_RING = 22,
};

#define UR_OFF_SQ_RING 0ULL
#define UR_OFF_SQES 0x10000000ULL

static inline int ur_setup(unsigned entries, struct ur_params *p) {
    int r = (int)syscall(UR_NR_SETUP, entries, p);
    return r < 0 ? -errno : r;
}

static inline int ur_enter(int fd, unsigned submit, unsigned wait_nr, unsigned flags,
                           void *arg, size_t size) {
    int r = (int)syscall(UR_NR_ENTER, fd, submit, wait_nr, flags, arg, size);
    return r < 0 ? -errno : r;
}

static inline int ur_register(int fd, unsigned opcode, void *arg, unsigned n) {
    int r = (int)syscall(UR_NR_REGISTER, fd, opcode, arg, n);
    return r < 0 ? -errno : r;
}

/* Monotonic seconds. */
static inline double ur_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Seconds that who waits for a moment may be woken late: not worth setting a timer anew. */
#define UR_LATE 5e-5

/* Let the other thread of the core have it for a moment. */
static inline void ur_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline uint32_t ur_load_acquire(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void ur_store_release(uint32_t *p, uint32_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

static inline void ur_store_release16(uint16_t *p, uint16_t v) {
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
}

/* How many forks lie between the process that first loaded this and us.
 *
 * A child must not touch the ring of its parent. Asking getpid() before each
 * use would cost a system call; this costs a load. */
static unsigned ur_generation = 1;

static void ur_forked(void) { ur_generation++; }

static inline int ur_watch_forks(void) { return pthread_atfork(0, 0, ur_forked); }

#endif
