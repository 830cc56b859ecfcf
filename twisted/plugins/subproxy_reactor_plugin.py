"""``twistd --reactor=io_uring`` and ``twistd --reactor=compiled_epoll``."""

from twisted.application.reactors import Reactor

io_uring = Reactor("io_uring", "subproxy.reactor", "io_uring, for stream sockets, and epoll")
compiled_epoll = Reactor(
    "compiled_epoll", "subproxy.reactor.compiled_epoll", "epoll, with stream sockets compiled"
)
