# Declarations of uapi.h for Cython; see there for what they are.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "errno.h" nogil:
    int errno
    int EAGAIN, EBUSY, ECANCELED, EINTR, EINVAL, ENOBUFS, ENOMEM, ENOSPC, EPERM, ETIME

cdef extern from "uapi.h" nogil:
    struct ur_sqe:
        uint8_t opcode
        uint8_t flags
        uint16_t ioprio
        int32_t fd
        uint64_t off
        uint64_t addr
        uint32_t len
        uint32_t op_flags
        uint64_t user_data
        uint16_t buf_group
        int32_t file_index

    struct ur_cqe:
        uint64_t user_data
        int32_t res
        uint32_t flags

    struct ur_sq_offsets:
        uint32_t head
        uint32_t tail
        uint32_t ring_mask
        uint32_t flags
        uint32_t array

    struct ur_cq_offsets:
        uint32_t head
        uint32_t tail
        uint32_t ring_mask
        uint32_t cqes

    struct ur_params:
        uint32_t sq_entries
        uint32_t cq_entries
        uint32_t flags
        uint32_t features
        ur_sq_offsets sq_off
        ur_cq_offsets cq_off

    struct ur_timespec:
        int64_t tv_sec
        int64_t tv_nsec

    struct ur_wait:
        uint64_t sigmask
        uint32_t sigmask_sz
        uint32_t min_wait_usec
        uint64_t ts

    struct ur_buf:
        uint64_t addr
        uint32_t len
        uint16_t bid
        uint16_t tail

    struct ur_buf_reg:
        uint64_t ring_addr
        uint32_t ring_entries
        uint16_t bgid

    struct ur_rsrc_update:
        uint32_t offset
        uint64_t data

    int UR_OP_NOP, UR_OP_POLL_ADD, UR_OP_ACCEPT, UR_OP_ASYNC_CANCEL, UR_OP_CLOSE
    int UR_OP_SEND, UR_OP_SENDMSG, UR_OP_RECV, UR_OP_TIMEOUT, UR_OP_TIMEOUT_REMOVE
    int UR_TIMEOUT_UPDATE
    int UR_SQE_BUFFER_SELECT, UR_SQE_CQE_SKIP_SUCCESS
    int UR_RECVSEND_POLL_FIRST, UR_RECV_MULTISHOT, UR_ACCEPT_MULTISHOT
    uint32_t UR_CQE_F_BUFFER, UR_CQE_F_MORE, UR_CQE_BUFFER_SHIFT
    uint32_t UR_SQ_CQ_OVERFLOW, UR_SQ_TASKRUN
    uint32_t UR_SETUP_CQSIZE, UR_SETUP_SUBMIT_ALL, UR_SETUP_TASKRUN_FLAG
    uint32_t UR_SETUP_SINGLE_ISSUER, UR_SETUP_DEFER_TASKRUN
    uint32_t UR_ENTER_GETEVENTS, UR_ENTER_EXT_ARG, UR_ENTER_REGISTERED_RING
    uint32_t UR_ENTER_NO_IOWAIT
    uint32_t UR_FEAT_SINGLE_MMAP, UR_FEAT_NODROP, UR_FEAT_EXT_ARG, UR_FEAT_CQE_SKIP
    uint32_t UR_FEAT_NO_IOWAIT
    uint32_t UR_REGISTER_RING_FDS, UR_UNREGISTER_RING_FDS, UR_REGISTER_PBUF_RING
    long UR_OFF_SQ_RING, UR_OFF_SQES

    int ur_setup(unsigned entries, ur_params *p)
    int ur_enter(int fd, unsigned submit, unsigned wait_nr, unsigned flags, void *arg, size_t n)
    int ur_register(int fd, unsigned opcode, void *arg, unsigned n)
    uint32_t ur_load_acquire(const uint32_t *p)
    double ur_now()
    const double UR_LATE
    void ur_relax()
    void ur_store_release(uint32_t *p, uint32_t v)
    void ur_store_release16(uint16_t *p, uint16_t v)
    unsigned ur_generation
    int ur_watch_forks()
