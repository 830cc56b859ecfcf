# What a guest sends through its tunnels. See _tunnel_channel.pyx.
from subproxy.fastpath._channel cimport FastChannel


cdef class FastTunnelChannel(FastChannel):
    cdef dict carriers
