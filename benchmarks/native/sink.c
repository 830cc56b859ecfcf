/* Reads and forgets the datagrams of a proxy's access log: sink SOCKET */
#include "common.h"
#include <sys/un.h>

int main(int argc, char **argv) {
    if (argc != 2) { fprintf(stderr, "sink SOCKET\n"); return 2; }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s", argv[1]);
    unlink(argv[1]);
    if (bind(fd, (struct sockaddr *)&a, sizeof a)) die(argv[1]);
    static char buffers[64][64];
    struct iovec parts[64];
    struct mmsghdr messages[64];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 64; i++) {
        parts[i] = (struct iovec){buffers[i], sizeof buffers[i]};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    while (recvmmsg(fd, messages, 64, MSG_WAITFORONE, NULL) > 0) {}
    die("recvmmsg");
}
