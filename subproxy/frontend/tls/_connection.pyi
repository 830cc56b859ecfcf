from subproxy.frontend.tls._libssl import Context
from subproxy.frontend.tls.connection import TlsConnection
from subproxy.frontend.tls.interfaces import ITlsListener

class CompiledTlsConnection(TlsConnection):
    def __init__(self, context: Context, listener: ITlsListener) -> None: ...
