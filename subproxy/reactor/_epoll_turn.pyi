"""See _epoll_turn.pyx."""

from subproxy.reactor._epoll import Epoll

class EpollLoop(Epoll):
    """An epoll descriptor that is waited for."""

    events: int
