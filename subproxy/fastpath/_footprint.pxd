# What a request needs of its guest, asked of memory before it is needed.
#
# Where thousands of guests are asked in turn, nothing of one is in the core's caches when its turn
# comes, and each thing that is needed tells where the next one lies: so they would be waited for one
# after the other. Where all of it was for the last request with this host and path is remembered with
# its entry, and it is asked for at once. By then somebody else may have that memory, or nobody: asking
# ahead is no access.
from cpython.object cimport PyObject

cdef extern from *:
    """
    static inline void ask_ahead(const void *from, size_t size) {
        const char *at = (const char *)from, *end = at + size;
        if (!at) return;
        for (; at < end; at += 64) __builtin_prefetch(at);
        __builtin_prefetch(end - 1);
    }
    static inline size_t basic_size(PyObject *type) {
        return (size_t)((PyTypeObject *)type)->tp_basicsize;
    }
    """
    void ask_ahead(const void *, size_t) noexcept nogil
    size_t basic_size(object)


cdef struct Footprint:
    const void *member
    const void *channel  # of the Python path
    const void *fast
    const void *stream
    const void *share
    const void *budget
    const void *name
