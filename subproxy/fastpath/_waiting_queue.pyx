# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Who waits for a guest to have room, and whose turn it is: the rules of admission, on its own queues.

There is one queue a pool, that of the Python path: requests of both wait in it, in order, with one
bound, and one deadline each. Those of here are in it as C{FastClient}s, which become exchanges as
soon as anything happens but that their turn comes.

The same in Python: C{subproxy.core.balancing.admission}, C{subproxy.core.dispatcher} and
C{subproxy.core.failing_members} (see C{subproxy.fastpath.twins}).
"""

from cpython.list cimport PyList_GET_SIZE

from heapq import heappush

from subproxy.core.balancing.admission import Admission, AdmissionLimits, Admitted, PoolQueue, Ticket
from subproxy.core.balancing.member import THERE, Member, Pool
from subproxy.core.balancing.outcomes import Outcomes
from subproxy.fastpath._fast_client cimport FastClient
from subproxy.fastpath._slots cimport get, number, real, set_number, slot

cdef Py_ssize_t ADMISSION_DEADLINES = slot(Admission, "_deadlines")
cdef Py_ssize_t ADMISSION_LIMITS = slot(Admission, "_limits")
cdef Py_ssize_t ADMISSION_QUEUES = slot(Admission, "_queues")
cdef Py_ssize_t ADMISSION_SERIAL = slot(Admission, "_serial")
cdef Py_ssize_t ADMISSION_WAITING = slot(Admission, "waiting")
cdef Py_ssize_t LIMITS_BUSY = slot(AdmissionLimits, "busy")
cdef Py_ssize_t LIMITS_POOL = slot(AdmissionLimits, "pool")
cdef Py_ssize_t LIMITS_TOTAL = slot(AdmissionLimits, "total")
cdef Py_ssize_t MEMBER_IN_FLIGHT = slot(Member, "in_flight")
cdef Py_ssize_t MEMBER_OUTCOMES = slot(Member, "outcomes")
cdef Py_ssize_t MEMBER_POOLS = slot(Member, "pools")
cdef Py_ssize_t MEMBER_STATE = slot(Member, "state")
cdef Py_ssize_t OUTCOMES_ANSWERS = slot(Outcomes, "answers")
cdef Py_ssize_t OUTCOMES_ROW = slot(Outcomes, "row")
cdef Py_ssize_t POOL_MEMBERS = slot(Pool, "members")
cdef Py_ssize_t POOL_OWNER = slot(Pool, "owner")
cdef Py_ssize_t POOL_WAITING = slot(Pool, "waiting")
cdef Py_ssize_t QUEUE_PLAIN = slot(PoolQueue, "plain")
cdef Py_ssize_t QUEUE_TICKETS = slot(PoolQueue, "tickets")
cdef Py_ssize_t TICKET_ARRIVED = slot(Ticket, "arrived")
cdef Py_ssize_t TICKET_DEADLINE = slot(Ticket, "deadline")
cdef Py_ssize_t TICKET_EXCHANGE = slot(Ticket, "exchange")
cdef Py_ssize_t TICKET_EXCLUDED = slot(Ticket, "excluded")
cdef type LIMITS = AdmissionLimits
cdef type OUTCOMES = Outcomes


cdef class WaitingQueue:
    """See above. Who derives from it chooses."""

    cdef object choose_now(self, object pool):
        """Who of C{pool} is to have the next request; None: nobody can."""
        raise NotImplementedError

    cdef object wait(self, FastClient client, object pool, double patience, double now):
        """The ticket of C{client}, which waits from C{now} on, since nobody of C{pool} could have its
        request; None if it would not wait, or for something else: nothing has happened then.

        @param patience: seconds; negative: those of the limits.
        """
        cdef object admission = self.admission
        cdef object limits = get(admission, ADMISSION_LIMITS)
        cdef object queue = None
        cdef object owner = get(pool, POOL_OWNER)
        cdef dict queues = get(admission, ADMISSION_QUEUES)
        cdef list members = get(pool, POOL_MEMBERS)
        cdef long serial, most, waiting = number(pool, POOL_WAITING)
        cdef long total = number(admission, ADMISSION_WAITING)
        if type(limits) is not LIMITS:
            return None
        if waiting:
            queue = queues[pool]
            if not number(queue, QUEUE_PLAIN):
                # A newcomer may overtake those.
                return None
        if patience < 0.0:
            patience = real(limits, LIMITS_BUSY)
        most = number(limits, LIMITS_POOL)
        if (
            patience <= 0.0 or waiting >= most or total >= number(limits, LIMITS_TOTAL)
            or (owner is not None and owner.waiting >= most)
            or self.failing.detector.out
        ):
            return None
        for member in members:
            if get(member, MEMBER_STATE) in THERE:
                break
        else:
            return None
        ticket = Ticket(client, pool, (), now, now + patience)
        if queue is None:
            queue = queues[pool] = PoolQueue()
        get(queue, QUEUE_TICKETS)[ticket] = None
        set_number(queue, QUEUE_PLAIN, number(queue, QUEUE_PLAIN) + 1)
        set_number(pool, POOL_WAITING, waiting + 1)
        set_number(admission, ADMISSION_WAITING, total + 1)
        serial = number(admission, ADMISSION_SERIAL) + 1
        set_number(admission, ADMISSION_SERIAL, serial)
        heappush(
            get(admission, ADMISSION_DEADLINES), (get(ticket, TICKET_DEADLINE), serial, ticket)
        )
        if owner is not None:
            owner.wait()
        return ticket

    cdef int release(self, object member, int status=0) except -1:
        """What C{Dispatcher.finished} does, of a request that C{member} has answered so; 0: it goes on,
        but is no load any more."""
        set_number(member, MEMBER_IN_FLIGHT, number(member, MEMBER_IN_FLIGHT) - 1)
        if number(self.admission, ADMISSION_WAITING):
            self.relieve(member)
        return self.judge(member, status) if status else 0

    cdef int judge(self, object member, int status) except -1:
        """What C{FailingMembers.answered} does: nothing, of a good answer while all is well."""
        outcomes = get(member, MEMBER_OUTCOMES)
        if status < 500:
            if outcomes is None:
                return 0
            if type(outcomes) is OUTCOMES and number(outcomes, OUTCOMES_ROW) == 0:
                return set_number(
                    outcomes, OUTCOMES_ANSWERS, number(outcomes, OUTCOMES_ANSWERS) + 1
                )
        self.failing.answered(member, status)
        return 0

    def tell(self, member, int status):
        """C{judge}, for tests."""
        self.judge(member, status)

    cdef int relieve(self, object member) except -1:
        """What C{Dispatcher.relieved} does, as long as those whose turn it is are of here."""
        cdef list pools, all_pools = get(member, MEMBER_POOLS)
        cdef double arrived, oldest = 0.0
        cdef object pool = None
        cdef object first = None
        cdef FastClient client
        if self.relieving:
            # A guest that answers at once; it is flat there.
            self.dispatcher.relieved(member)
            return 0
        pools = [each for each in all_pools if number(each, POOL_WAITING)]
        self.relieving = True
        try:
            while PyList_GET_SIZE(pools):
                first = None
                for each in pools:
                    queue = get(self.admission, ADMISSION_QUEUES)[each]
                    ticket = next(iter(get(queue, QUEUE_TICKETS)))
                    arrived = real(ticket, TICKET_ARRIVED)
                    if first is None or arrived < oldest:
                        first, pool, oldest = ticket, each, arrived
                waiter = get(first, TICKET_EXCHANGE)
                if not isinstance(waiter, FastClient) or get(first, TICKET_EXCLUDED):
                    self.dispatcher.relieved(member)
                    return 0
                client = waiter
                chosen = self.choose_now(pool)
                if chosen is None:
                    pools.remove(pool)
                    continue
                set_number(chosen, MEMBER_IN_FLIGHT, number(chosen, MEMBER_IN_FLIGHT) + 1)
                self.remove(first, pool, get(self.admission, ADMISSION_QUEUES)[pool])
                if not client.turn_came(chosen):
                    self.dispatcher.deliver([Admitted(first, chosen)])
                # Whom it went to may have answered, and others may have come or gone.
                pools = [each for each in pools if number(each, POOL_WAITING)]
        finally:
            self.relieving = False
        return 0

    cdef int remove(self, object ticket, object pool, object queue) except -1:
        """C{ticket}, the first of C{queue}, waits no longer."""
        cdef object admission = self.admission
        cdef object owner = get(pool, POOL_OWNER)
        cdef object tickets = get(queue, QUEUE_TICKETS)
        cdef list deadlines = get(admission, ADMISSION_DEADLINES)
        cdef long waiting = number(pool, POOL_WAITING) - 1
        cdef long total = number(admission, ADMISSION_WAITING) - 1
        del tickets[ticket]
        set_number(queue, QUEUE_PLAIN, number(queue, QUEUE_PLAIN) - 1)
        if not tickets:
            del get(admission, ADMISSION_QUEUES)[pool]
        set_number(pool, POOL_WAITING, waiting)
        if owner is not None:
            owner.waiting -= 1
        set_number(admission, ADMISSION_WAITING, total)
        ticket.waiting = False
        if PyList_GET_SIZE(deadlines) > 2 * total + 64:
            admission.prune()
        return 0
