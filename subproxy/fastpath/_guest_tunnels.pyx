# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The tunnels of one guest that the compiled path has, and what they may have.

How many a virtual machine has in all is counted where Python counts them.

The same in Python: C{subproxy.subscription.tunnels} and C{subproxy.subscription.tunnel_request} (see
C{subproxy.fastpath.twins}).
"""

from libc.limits cimport LONG_MAX

from subproxy.core.http.upgrade import WEBSOCKET, Upgrade
from subproxy.subscription.tunnel_request import SMALL
from subproxy.wire.limits import BODY_CHUNK

cdef object ASKED = Upgrade((WEBSOCKET,))


cdef class GuestTunnels:
    """See above. Who waits for an answer has its place among the other exchanges, and is only counted here."""

    def __init__(self, wire, context, identity):
        cdef long most = context.settings.tunnel or 0
        self.open = {}
        self.quotas = context.tunnels
        self.policies = self.quotas.policies
        self.identity = identity
        self.announced = wire.tunnels
        self.window = wire.limits.window
        self.chunk = BODY_CHUNK
        self.weighty = min(<long>SMALL, most) if most else LONG_MAX
        self.most = most if most and wire.bulk else LONG_MAX

    cdef bytes ask(self):
        """Count one more: how the guest spells C{websocket}; None if it takes none, or has all that it
        may have."""
        cdef long open
        policy = self.policies.policy
        if policy is not self.policy:
            self.policy = policy
            self.token = self.quotas.agreed(self.identity, self.announced, ASKED)
        if self.token is None:
            return None
        open = self.quotas.open.get(self.identity, 0)
        if open >= <long>self.policies.quotas(self.identity).tunnels:
            return None
        self.quotas.open[self.identity] = open + 1
        self.count += 1
        return self.token
