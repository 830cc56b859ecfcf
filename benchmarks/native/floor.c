/* The kernel floor: what receiving a request and sending an answer costs at least.
 *
 * io_uring by raw system calls: multishot accept, multishot receive from a provided buffer ring,
 * sends submitted with the wait in one system call. It looks for the ends of request heads and
 * answers 13 bytes; it has no upstream, no log, no routing: no proxy can be cheaper on this kernel.
 *
 *   floor PORT
 */
#include "ring.h"

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
static const char last_answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    "Content-Length: 13\r\n\r\nHello, World!";

static void on_received(const struct io_uring_cqe *c, int fd) {
    if (c->res <= 0 || !(c->flags & IORING_CQE_F_BUFFER)) {
        if (c->res == -ENOBUFS) receive(fd);
        else queue(IORING_OP_CLOSE, fd, CLOSE);
        return;
    }
    unsigned id = c->flags >> IORING_CQE_BUFFER_SHIFT;
    const char *bytes = memory + (size_t)id * BUFFER_SIZE;
    /* The load sends whole requests, one at a time: its last four bytes end a head. */
    if (c->res >= 4 && !memcmp(bytes + c->res - 4, "\r\n\r\n", 4)) {
        int last = memmem(bytes, (size_t)c->res, "Connection: close", 17) != NULL;
        struct io_uring_sqe *s = queue(IORING_OP_SEND, fd, SEND);
        s->addr = (uint64_t)(last ? last_answer : answer);
        s->len = (unsigned)(last ? sizeof last_answer : sizeof answer) - 1;
        s->msg_flags = MSG_NOSIGNAL;
        if (last) { /* the close of the descriptor waits for the send, the FIN tells the client */
            s->flags = IOSQE_IO_LINK;
            s = queue(IORING_OP_SHUTDOWN, fd, SEND);
            s->len = 1 /* SHUT_WR */;
        }
    }
    give_back(id);
    if (!more_to_come(c)) receive(fd);
}

static void deal(const struct io_uring_cqe *c, int fd) {
    switch (c->user_data & 255) {
    case ACCEPT:
        if (c->res >= 0) {
            no_delay(c->res);
            receive(c->res);
        }
        if (!more_to_come(c)) accept_all(fd);
        break;
    case RECEIVE: on_received(c, fd); break;
    case SEND: case CLOSE: break;
    }
}

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "floor PORT\n"); return 2; }
    raise_descriptor_limit();
    int listener = loopback_listener(atoi(argv[1]));
    set_up();
    accept_all(listener);
    for (;;) turn(deal);
}
