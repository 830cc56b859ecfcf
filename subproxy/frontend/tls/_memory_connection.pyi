from subproxy.frontend.tls._wheel_libssl import WheelContext
from subproxy.frontend.tls.connection import TlsConnection
from subproxy.frontend.tls.interfaces import ITlsListener

class MemoryTlsConnection(TlsConnection):
    def __init__(self, context: WheelContext, listener: ITlsListener) -> None: ...
