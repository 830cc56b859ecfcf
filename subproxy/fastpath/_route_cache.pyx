# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Routing and the choice of a subscriber: the rules of the core, on the core's own numbers.

C{Member}, C{Pool} and their like keep their attributes in C{__slots__}: here they are read
from where Python keeps them, so that there is one set of numbers, and the classes stay Python.

The same in Python: C{subproxy.core.balancing.balancer} and C{subproxy.core.routing.router} (see
C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Size
from cpython.object cimport PyObject
from libc.limits cimport LONG_MAX
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from subproxy.core.balancing.admission import Admission
from subproxy.core.balancing.balancer import SLOW_START_SHARE, PowerOfTwo
from subproxy.core.http.fields import PATH
from subproxy.core.balancing.member import HOSTS, PEERS, READY, Member, is_host, is_peer
from subproxy.core.http.normalise import normalise_path, path_fault
from subproxy.core.balancing.member import Pool
from subproxy.core.routing.registry import Registry
from subproxy.core.balancing.retry import RetryBudget
from subproxy.core.sites.redirect import is_challenge
from subproxy.errors import ClientError
from subproxy.fastpath._bytes cimport mixed, u8
from subproxy.fastpath._footprint cimport Footprint, ask_ahead, basic_size
from subproxy.fastpath._log_buffer cimport FastCounters
from subproxy.fastpath._slots cimport get, number, real, set_number, slot
from subproxy.fastpath._waiting_queue cimport WaitingQueue
from subproxy.telemetry.log_format import escaped, route_name

cdef extern from "Python.h":
    PyObject *PyDict_GetItemWithError(object, object) except? NULL

cdef enum:
    HALF = 16384  # entries of each half of the cache
    MOST_KEY = 512  # bytes of host and path, above which an answer is not kept
    FEWEST_RECENT = 256  # entries that are found without a key at first, and at most...
    MOST_RECENT = 2 * HALF  # ... both powers of two
    SPARSE = 2  # places for each of them, at least
    PROBES = 8  # places where one is looked for
    # Bytes that are asked of memory ahead: of the object of a key, of a short text, and of a tally.
    KEY = 96
    TEXT = 64
    TALLY = 96


cdef str FIRST_OF_PEERS = PEERS[0] + HOSTS[0]
cdef Py_ssize_t MEMBER_IDENTITY = slot(Member, "identity")
cdef Py_ssize_t MEMBER_STATE = slot(Member, "state")
cdef Py_ssize_t MEMBER_IN_FLIGHT = slot(Member, "in_flight")
cdef Py_ssize_t MEMBER_CONCURRENCY = slot(Member, "concurrency")
cdef Py_ssize_t MEMBER_SINCE = slot(Member, "since")
cdef Py_ssize_t MEMBER_LATENCY = slot(Member, "latency")
cdef Py_ssize_t MEMBER_WEIGHT = slot(Member, "weight")
cdef Py_ssize_t POOL_MEMBERS = slot(Pool, "members")
cdef Py_ssize_t POOL_WAITING = slot(Pool, "waiting")
cdef Py_ssize_t POOL_RETRIES = slot(Pool, "retries")
cdef Py_ssize_t BUDGET_REQUESTS = slot(RetryBudget, "requests")
cdef Py_ssize_t REGISTRY_GENERATION = slot(Registry, "generation")
cdef type MEMBER = Member
cdef type BUDGET = RetryBudget
cdef long IS_READY = READY
cdef double SHARE = SLOW_START_SHARE


cdef size_t MEMBER_SIZE = basic_size(Member)
cdef size_t POOL_SIZE = basic_size(Pool)
cdef size_t BUDGET_SIZE = basic_size(RetryBudget)


cdef class RouteEntry:
    """Where the requests for one host and path go."""

    cdef bint asks(self, bint trusted, bytes scheme, object tls) except -1:
        """Whether Python must look at a request: a rule is asked each time, and it is not the one
        that lets pass who came by https; or the guest is told of TLS; or the handshake went by
        another rule for the certificates of clients than is in force here now."""
        if tls is None:
            if self.authorities is not None:
                return True
        elif self.tells_tls or tls.authorities is not self.authorities:
            return True
        return self.asked and (not self.to_https or trusted or scheme != b"https")


cdef class RouteCache(WaitingQueue):
    """Finds pools, and subscribers in them."""

    def __init__(self, dispatcher, rules, counters, lines=None):
        admission = dispatcher.admission
        self.dispatcher = dispatcher
        self.failing = dispatcher.failing
        self.rules = rules
        self.escape = escaped if lines is None else lines.escape
        self.route_name = route_name if lines is None else lines.route_name
        self.router = dispatcher.router
        self.registry = dispatcher.router.registry
        self.admission = admission
        self.random = admission.rng.random
        self.now = dispatcher.now
        self.learn_balancer()
        for each, kind in (
            (self.registry, Registry), (admission, Admission),
        ):
            if type(each) is not kind:
                raise TypeError(f"{each!r} is not exactly a {kind.__name__}")
        self.young = {}
        self.old = {}
        self.forget_recent(FEWEST_RECENT)
        # These need this module.
        from subproxy.fastpath._channel import FastChannel
        from subproxy.fastpath.shared_channel import SharedChannel
        from subproxy.reactor._stream import Stream

        self.channel_size = basic_size(SharedChannel)
        self.fast_size = basic_size(FastChannel)
        self.stream_size = basic_size(Stream)
        self.generation = -1
        self.counters = counters
        self.tallies = {}
        self.dirty = []

    def __dealloc__(self):
        free(self.recent)

    cdef int forget_recent(self, Py_ssize_t size) except -1:
        """Find none of the entries without a key that there are, for they may be freed next; and have
        room for so many of them, if there is memory for that."""
        cdef Recent *recent
        if size == self.recent_size:
            memset(self.recent, 0, size * sizeof(Recent))
            return 0
        recent = <Recent *>calloc(size, sizeof(Recent))
        if recent == NULL:
            if self.recent == NULL:
                raise MemoryError
            return self.forget_recent(self.recent_size)
        free(self.recent)
        self.recent = recent
        self.recent_size = size
        return 0

    cdef int ask_ahead(self, RouteEntry way) noexcept:
        """A request goes this way: see C{_footprint.pxd}."""
        cdef Footprint *before = &way.footprint
        ask_ahead(<PyObject *>way.key, KEY)
        ask_ahead(<PyObject *>way.pool, POOL_SIZE)
        ask_ahead(before.member, MEMBER_SIZE)
        ask_ahead(before.channel, self.channel_size)
        ask_ahead(before.fast, self.fast_size)
        ask_ahead(before.stream, self.stream_size)
        ask_ahead(before.budget, BUDGET_SIZE)
        ask_ahead(before.share, TEXT)
        ask_ahead(<PyObject *>way.tally, TALLY)
        ask_ahead(<PyObject *>way.name, TEXT)
        ask_ahead(<PyObject *>way.host, TEXT)
        ask_ahead(before.name, TEXT)
        return 0

    cdef Recent *place(self, uint64_t mix) noexcept:
        """Where the entry with this is found, or would be."""
        cdef Py_ssize_t i
        cdef Recent *found
        for i in range(PROBES):
            found = &self.recent[(mix + i) & (self.recent_size - 1)]
            if found.mix == mix or found.way == NULL:
                return found
        return &self.recent[mix & (self.recent_size - 1)]

    cdef int learn_balancer(self) except -1:
        """Who chooses, which a reload may have changed."""
        self.balancer = self.admission.balancer
        self.two = type(self.balancer) is PowerOfTwo
        self.slow_start = self.balancer.slow_start if self.two else 0.0
        return 0

    cpdef settle(self):
        """Add what was counted here to the counters that others read."""
        cdef FastCounters tally
        for tally in self.dirty:
            tally.settle()
        self.dirty.clear()

    cdef FastCounters tally(self, object pool):
        tally = self.tallies.get(pool)
        if tally is None:
            if len(self.tallies) >= HALF or len(self.dirty) >= HALF:
                self.settle()
                self.tallies.clear()
            tally = FastCounters(pool, self.counters, self.dirty)
            self.tallies[pool] = tally
        return tally

    cdef RouteEntry route(self, const u8 *host, int host_size, const u8 *path, int path_size):
        """Where a request goes by its host and path as received; None if it is not plain."""
        cdef PyObject *found
        cdef RouteEntry way
        cdef Recent *recent
        cdef uint64_t mix
        cdef Py_ssize_t size = path_size + 1 + host_size
        cdef long generation = number(self.registry, REGISTRY_GENERATION)
        cdef char *text
        if generation != self.generation:
            self.generation = generation
            self.forget_recent(self.recent_size)
            self.young = {}
            self.old = {}
            self.tallies.clear()
            self.learn_balancer()
        if host_size + path_size > MOST_KEY:
            return self.find(None, host, host_size, path, path_size)
        mix = mixed(mixed(0, host, host_size), path, path_size)
        recent = self.place(mix)
        if recent.mix == mix and recent.way != NULL:
            way = <RouteEntry>recent.way
            self.ask_ahead(way)
            text = PyBytes_AS_STRING(way.key)
            if (
                PyBytes_GET_SIZE(way.key) == size
                and memcmp(text, path, path_size) == 0
                and text[path_size] == 32
                and memcmp(text + path_size + 1, host, host_size) == 0
            ):
                return way
        # A path holds no space.
        key = PyBytes_FromStringAndSize(NULL, size)
        text = PyBytes_AS_STRING(key)
        memcpy(text, path, path_size)
        text[path_size] = 32
        memcpy(text + path_size + 1, host, host_size)
        found = PyDict_GetItemWithError(self.young, key)
        way = <RouteEntry>found if found != NULL else self.find(key, host, host_size, path, path_size)
        if way is not None:
            if SPARSE * PyDict_Size(self.young) > self.recent_size and self.recent_size < MOST_RECENT:
                self.forget_recent(2 * self.recent_size)
            recent = self.place(mix)
            recent.mix = mix
            recent.way = <PyObject *>way
        return way

    cdef RouteEntry find(self, object key, const u8 *host, int host_size, const u8 *path, int path_size):
        cdef RouteEntry way = self.old.get(key)
        if way is None:
            name = PyBytes_FromStringAndSize(<const char *>host, host_size)
            where = PyBytes_FromStringAndSize(<const char *>path, path_size)
            if where.translate(None, PATH) or path_fault(where) is not None:
                return None
            try:
                name = self.rules.host(name)
            except ClientError:
                return None
            if is_challenge(where) and self.dispatcher.challenges:
                return None
            pool, rules = self.router.match(name, normalise_path(where))
            if pool is None:
                return None
            way = RouteEntry.__new__(RouteEntry)
            way.key = key
            way.pool = pool
            way.rules = rules
            way.most_body = LONG_MAX
            way.response_timeout = way.queue_timeout = -1.0
            way.tells_tls = pool.tells_tls
            if rules is not None:
                way.asked = bool(rules.asked_each_time)
                way.to_https = rules.only_to_https
                way.authorities = rules.client_ca
                way.most_body = rules.max_body or LONG_MAX
                if rules.response_timeout is not None:
                    way.response_timeout = rules.response_timeout
                if rules.queue_timeout is not None:
                    way.queue_timeout = rules.queue_timeout
            way.name = self.route_name(pool)
            way.raw_host = name
            way.host = self.escape(name)
            if self.counters is not None:
                way.tally = self.tally(pool)
            if key is None:
                return way
        if PyDict_Size(self.young) >= HALF:
            self.forget_recent(self.recent_size)
            self.old = self.young
            self.young = {}
        self.young[key] = way
        return way

    cdef object choose(self, object pool):
        """What C{Admission.submit} would choose now; None if it would choose nobody, or queue."""
        return None if number(pool, POOL_WAITING) else self.choose_now(pool)

    cdef object choose_now(self, object pool):
        cdef list members
        cdef Py_ssize_t size, first, second
        cdef double now, since, other_since, cost, other_cost
        cdef long load, other_load, most, other_most
        if not self.two:
            return self.balancer.choose(pool, self.now(), self.admission.rng, ())
        members = <list>get(pool, POOL_MEMBERS)
        size = len(members)
        if size == 0:
            return None
        if size == 1:
            one = members[0]
            if type(one) is not MEMBER:
                return None
            most = number(one, MEMBER_CONCURRENCY)
            if number(one, MEMBER_STATE) != IS_READY:
                return None
            if most and number(one, MEMBER_IN_FLIGHT) >= most:
                return None
            return one
        first = <Py_ssize_t>(<double>self.random() * size)
        second = <Py_ssize_t>(<double>self.random() * (size - 1))
        if second >= first:
            second += 1
        one = members[first]
        other = members[second]
        if type(one) is not MEMBER or type(other) is not MEMBER:
            return None
        load = number(one, MEMBER_IN_FLIGHT)
        other_load = number(other, MEMBER_IN_FLIGHT)
        most = number(one, MEMBER_CONCURRENCY)
        other_most = number(other, MEMBER_CONCURRENCY)
        now = self.now()
        if (
            number(one, MEMBER_STATE) != IS_READY
            or number(other, MEMBER_STATE) != IS_READY
            or (most > 0 and load >= most)
            or (other_most > 0 and other_load >= other_most)
        ):
            return self.balancer._choose_among_left(members, now, self.admission.rng, ())
        cost = real(one, MEMBER_LATENCY) * (load + 1)
        other_cost = real(other, MEMBER_LATENCY) * (other_load + 1)
        since = now - real(one, MEMBER_SINCE)
        other_since = now - real(other, MEMBER_SINCE)
        if since < self.slow_start or other_since < self.slow_start:
            cost /= self.weight(one, since)
            other_cost /= self.weight(other, other_since)
            return other if other_cost < cost else one
        if other_cost * real(one, MEMBER_WEIGHT) < cost * real(other, MEMBER_WEIGHT):
            return other
        return one

    cdef object choose_here(self, object pool, bint onward):
        """What C{Dispatcher.dispatch_here} would choose now; None likewise.

        That is no other process; or, C{onward}, another worker, but no other host.
        """
        cdef list others = None
        cdef str identity
        for member in <list>get(pool, POOL_MEMBERS):
            identity = get(member, MEMBER_IDENTITY)
            if identity and identity[0] in FIRST_OF_PEERS and (
                is_host(member) if onward else is_peer(member)
            ):
                if others is None:
                    others = []
                others.append(member)
        if others is None:
            return self.choose(pool)
        if number(pool, POOL_WAITING):
            return None
        return self.balancer.choose(pool, self.now(), self.admission.rng, others)

    def pick_here(self, pool, bint onward=False):
        """C{choose_here}, for tests."""
        return self.choose_here(pool, onward)

    def pick(self, pool):
        """C{choose}, for tests."""
        return self.choose(pool)

    cdef double weight(self, object member, double age) except? -1.0:
        cdef double weight = real(member, MEMBER_WEIGHT)
        if age < self.slow_start:
            weight *= max(SHARE, age / self.slow_start)
        return weight

    cdef int count(self, object pool) except -1:
        """There is one more request of C{pool}, which pays for its retries."""
        budget = get(pool, POOL_RETRIES)
        if type(budget) is not BUDGET:
            budget = self.dispatcher.budget(pool)
        return set_number(budget, BUDGET_REQUESTS, number(budget, BUDGET_REQUESTS) + 1)

    cdef int charge(self, object member, object pool) except -1:
        """A request of C{pool} goes to C{member}."""
        self.count(pool)
        return set_number(member, MEMBER_IN_FLIGHT, number(member, MEMBER_IN_FLIGHT) + 1)
