/* io_uring by raw system calls: multishot accept and receive, a ring of provided buffers, sends that
 * are submitted with the wait in one system call.
 */
#ifndef RING_H
#define RING_H
#include "common.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define ENTRIES 4096
#define BUFFERS 1024
#define BUFFER_SIZE 4096

enum { ACCEPT, RECEIVE, SEND, CLOSE };

static int ring;
static unsigned *sq_tail, *sq_mask, *sq_array, *cq_head, *cq_tail, *cq_mask;
static struct io_uring_sqe *sqes;
static struct io_uring_cqe *cqes;
static unsigned queued;
static struct io_uring_buf_ring *buffers;
static char *memory;
static unsigned short buffers_tail;

static int enter(unsigned submit, unsigned wait) {
    return (int)syscall(__NR_io_uring_enter, ring, submit, wait, IORING_ENTER_GETEVENTS, NULL, 0);
}

static struct io_uring_sqe *queue(int operation, int fd, int kind) {
    if (queued == ENTRIES && enter(queued, 0) >= 0) queued = 0;
    unsigned index = *sq_tail & *sq_mask;
    struct io_uring_sqe *s = &sqes[index];
    memset(s, 0, sizeof *s);
    s->opcode = (uint8_t)operation;
    s->fd = fd;
    s->user_data = (uint64_t)fd << 8 | (unsigned)kind;
    sq_array[index] = index;
    __atomic_store_n(sq_tail, *sq_tail + 1, __ATOMIC_RELEASE);
    queued++;
    return s;
}

static void give_back(unsigned id) {
    struct io_uring_buf *b = &buffers->bufs[buffers_tail & (BUFFERS - 1)];
    b->addr = (uint64_t)(memory + (size_t)id * BUFFER_SIZE);
    b->len = BUFFER_SIZE;
    b->bid = (unsigned short)id;
    __atomic_store_n(&buffers->tail, ++buffers_tail, __ATOMIC_RELEASE);
}

static void receive(int fd) {
    struct io_uring_sqe *s = queue(IORING_OP_RECV, fd, RECEIVE);
    s->ioprio = IORING_RECV_MULTISHOT;
    s->flags = IOSQE_BUFFER_SELECT;
}

static void set_up(void) {
    struct io_uring_params p = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = ENTRIES * 4,
    };
    ring = (int)syscall(__NR_io_uring_setup, ENTRIES, &p);
    if (ring < 0) die("io_uring_setup");
    size_t size = p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe);
    size_t other = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    char *base = mmap(NULL, size > other ? size : other, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    sqes = mmap(NULL, p.sq_entries * sizeof *sqes, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
    if (base == MAP_FAILED || sqes == MAP_FAILED) die("mmap");
    sq_tail = (unsigned *)(base + p.sq_off.tail);
    sq_mask = (unsigned *)(base + p.sq_off.ring_mask);
    sq_array = (unsigned *)(base + p.sq_off.array);
    cq_head = (unsigned *)(base + p.cq_off.head);
    cq_tail = (unsigned *)(base + p.cq_off.tail);
    cq_mask = (unsigned *)(base + p.cq_off.ring_mask);
    cqes = (struct io_uring_cqe *)(base + p.cq_off.cqes);

    buffers = mmap(NULL, BUFFERS * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memory = malloc((size_t)BUFFERS * BUFFER_SIZE);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)buffers, .ring_entries = BUFFERS, .bgid = 0};
    if (syscall(__NR_io_uring_register, ring, IORING_REGISTER_PBUF_RING, &registration, 1))
        die("IORING_REGISTER_PBUF_RING");
    for (unsigned i = 0; i < BUFFERS; i++) give_back(i);
}

static int more_to_come(const struct io_uring_cqe *c) { return (c->flags & IORING_CQE_F_MORE) != 0; }

static void accept_all(int listener) {
    queue(IORING_OP_ACCEPT, listener, ACCEPT)->ioprio = IORING_ACCEPT_MULTISHOT;
}

static int loopback_listener(int port) {
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&a, sizeof a) || listen(listener, 4096)) die("listen");
    return listener;
}

static void no_delay(int fd) {
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Submits, waits for one completion, and gives all that there are to `deal`. */
static void turn(void (*deal)(const struct io_uring_cqe *, int)) {
    int n = enter(queued, 1);
    if (n < 0 && errno != EINTR && errno != EBUSY) die("io_uring_enter");
    if (n > 0) queued -= (unsigned)n;
    unsigned head = *cq_head, tail = __atomic_load_n(cq_tail, __ATOMIC_ACQUIRE);
    while (head != tail) {
        struct io_uring_cqe c = cqes[head++ & *cq_mask];
        __atomic_store_n(cq_head, head, __ATOMIC_RELEASE);
        deal(&c, (int)(c.user_data >> 8));
    }
}

#endif
