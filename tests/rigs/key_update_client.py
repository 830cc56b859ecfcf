"""
A client over TLS that asks for new keys as often as it likes, or for short records, which Python's
ssl does not.

It is OpenSSL's libssl, by ctypes (SSL_key_update(3), BIO_s_mem(3)).
"""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED
SHORT = 1  # TLSEXT_max_fragment_length_512
ROOM = 65536


class KeyUpdateClient:
    """
    Bytes for the server come from C{take}, bytes of the server go to C{feed}.

    @param short: it wants records of 512 bytes at most (RFC 6066 section 4).
    """

    def __init__(self, short: bool = False) -> None:
        name = ctypes.util.find_library("ssl")
        if name is None:
            raise OSError("no libssl")
        self._lib = lib = ctypes.CDLL(name)
        for function in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_s_mem", "BIO_new"):
            getattr(lib, function).restype = ctypes.c_void_p
        context = self._pointer(lib.SSL_CTX_new(self._pointer(lib.TLS_client_method())))
        self._ssl = self._pointer(lib.SSL_new(context))
        self._in = self._pointer(lib.BIO_new(self._pointer(lib.BIO_s_mem())))
        self._out = self._pointer(lib.BIO_new(self._pointer(lib.BIO_s_mem())))
        lib.SSL_set_bio(self._ssl, self._in, self._out)
        lib.SSL_set_connect_state(self._ssl)
        lib.SSL_CTX_free(context)
        if short:
            assert lib.SSL_set_tlsext_max_fragment_length(self._ssl, SHORT) == 1

    @staticmethod
    def _pointer(value: Any) -> ctypes.c_void_p:
        assert value
        return ctypes.c_void_p(value)

    def close(self) -> None:
        """Free it."""
        self._lib.SSL_free(self._ssl)

    def shake(self) -> bool:
        """Go on with the handshake; whether it is done."""
        return bool(self._lib.SSL_do_handshake(self._ssl) == 1)

    def feed(self, data: bytes) -> None:
        """Bytes of the server."""
        self._lib.BIO_write(self._in, data, len(data))

    def take(self) -> bytes:
        """Bytes for the server."""
        room = ctypes.create_string_buffer(ROOM)
        size = self._lib.BIO_read(self._out, room, ROOM)
        return room.raw[: max(size, 0)]

    def key_updates(self, count: int) -> bytes:
        """So many records that each ask for new keys of the server, and give it some."""
        for _ in range(count):
            assert self._lib.SSL_key_update(self._ssl, REQUESTED) == 1
            self.shake()
        return self.take()

    def send(self, data: bytes) -> bytes:
        """A record that holds C{data}."""
        assert self._lib.SSL_write(self._ssl, data, len(data)) == len(data)
        return self.take()

    def hear(self, data: bytes) -> bytes:
        """What the server has said in C{data}, up to where it is not understood."""
        self.feed(data)
        found = b""
        room = ctypes.create_string_buffer(ROOM)
        while (size := self._lib.SSL_read(self._ssl, room, ROOM)) > 0:
            found += room.raw[:size]
        return found
