"""See _relay.pyx."""

from twisted.internet.defer import Deferred

from subproxy.reactor._stream import Stream

def relay(source: Stream, target: Stream, length: int) -> Deferred[int]: ...
