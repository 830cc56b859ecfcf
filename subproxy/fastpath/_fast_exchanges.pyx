# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The exchanges of one guest that the compiled path has, by their number.

Those that are answered soon are in slots, one after the other; tunnels, which may last, apart from them.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._guest_tunnels cimport GuestTunnels
from subproxy.reactor._stream cimport Receiver

cdef enum:
    FEWEST_SLOTS = 32
    MOST_SLOTS = 16384


cdef class FastExchanges(Receiver):
    """See above."""

    def __cinit__(self):
        self.slot_count = FEWEST_SLOTS
        self.slots = <Slot *>calloc(self.slot_count, sizeof(Slot))
        if self.slots == NULL:
            raise MemoryError

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.slot_count):
            if self.slots[i].client != NULL:
                Py_DECREF(<object>self.slots[i].client)
        free(self.slots)

    def __len__(self):
        return self.count

    def __bool__(self):
        return True

    def tell(self):
        """Let the wire know how far numbers are: before Python has anything to do with them."""
        raise NotImplementedError

    cdef FastClient find(self, uint64_t number):
        cdef Slot *slot = &self.slots[number & (self.slot_count - 1)]
        if slot.number == number and slot.client != NULL:
            return <FastClient>slot.client
        return self.find_tunnel(number)

    cdef FastClient find_tunnel(self, uint64_t number):
        cdef PyObject *found
        if not self.tunnels.open:
            return None
        found = PyDict_GetItem(self.tunnels.open, number)
        return None if found == NULL else <FastClient>found

    cdef int keep_tunnel(self, FastClient client, uint64_t number) except -1:
        """C{client} has a tunnel, which may last: not among those that are answered soon."""
        self.drop(number)
        self.tunnels.open[number] = client
        self.count += 1
        return 0

    cdef int put(self, FastClient client, uint64_t number) except -1:
        cdef Slot *slot = &self.slots[number & (self.slot_count - 1)]
        cdef FastClient before
        while slot.client != NULL and self.slot_count < MOST_SLOTS:
            self.grow()
            slot = &self.slots[number & (self.slot_count - 1)]
        if slot.client != NULL:
            # One that has waited while thousands came and went; it drops what else may keep it.
            before = <FastClient>slot.client
            self.tell()
            before.give_up()
        Py_INCREF(client)
        slot.client = <PyObject *>client
        slot.number = number
        self.count += 1
        return 0

    cdef int drop(self, uint64_t number) except -1:
        """It is over, or has moved to the Python path."""
        cdef Slot *slot = &self.slots[number & (self.slot_count - 1)]
        cdef PyObject *client = slot.client
        if slot.number == number and client != NULL:
            slot.client = NULL
            self.count -= 1
            Py_DECREF(<object>client)
        elif number in self.tunnels.open:
            del self.tunnels.open[number]
            self.count -= 1
        return 0

    cdef int grow(self) except -1:
        cdef Py_ssize_t i, count = 2 * self.slot_count
        cdef Slot *larger = <Slot *>calloc(count, sizeof(Slot))
        if larger == NULL:
            raise MemoryError
        for i in range(self.slot_count):
            if self.slots[i].client != NULL:
                larger[self.slots[i].number & (count - 1)] = self.slots[i]
        free(self.slots)
        self.slots = larger
        self.slot_count = count
        return 0

    def surrender(self, most=None):
        """Move exchanges to the Python path, in the order in which they began: all, or so many.

        Returns their numbers.
        """
        cdef FastClient client
        self.tell()
        numbers = self.numbers(most)
        for number in numbers:
            client = self.find(number)
            if client is not None:
                client.give_up()
        return numbers

    def move(self, error, timer, double until):
        """Give exchanges to other guests, in the order in which they began, since this one has failed
        with C{error}, as long as C{timer} says less than C{until}; those that can't move go to the
        Python path. Returns whether there are more."""
        cdef FastClient client
        for number in self.numbers(None):
            client = self.find(number)
            if client is not None and not client.failed(error):
                self.tell()
                client.give_up()
            if <double>timer() >= until:
                break
        return self.count > 0

    cdef list numbers(self, most):
        """Of all exchanges, or so many, in the order in which they began."""
        cdef Py_ssize_t i
        numbers = [*self.tunnels.open]
        numbers += [
            self.slots[i].number for i in range(self.slot_count) if self.slots[i].client != NULL
        ]
        numbers.sort()
        return numbers[:most]

    def hold_up(self, congested):
        """The guest does not read what we send, or reads again."""
        for number in list(self.tunnels.open):
            client = self.find_tunnel(number)
            if client is not None:
                (<FastClient>client).hold_up(congested)
