"""``twistd --reactor=io_uring``."""

from twisted.application.reactors import Reactor

io_uring = Reactor("io_uring", "subproxy.reactor", "io_uring, for stream sockets, and epoll")
