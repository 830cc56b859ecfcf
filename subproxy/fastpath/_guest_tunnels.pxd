# The tunnels of one guest that the compiled path has. See _guest_tunnels.pyx.


cdef class GuestTunnels:
    cdef readonly dict open  # who has it, by its number
    cdef readonly Py_ssize_t count  # those that wait for an answer among them
    cdef object quotas
    cdef object identity
    # What the policy says, when it was last looked at:
    cdef object policies
    cdef object policy
    cdef bytes token  # how the guest spells the protocol; None: it takes or may have no tunnel
    cdef object announced
    cdef readonly long window  # bytes that a guest may send through one before they have left
    cdef readonly long chunk  # bytes of the longest piece that is sent to it
    cdef readonly long weighty  # bytes of a piece from which on it counts as some of much
    cdef readonly long most  # of these, from which on a data connection is offered

    cdef bytes ask(self)
