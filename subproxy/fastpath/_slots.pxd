# Attributes of Python classes with __slots__, read from where Python keeps them: no lookup, and one
# set of values for both paths. Offsets are found out at import; a class of another kind there
# makes the import fail, and then there is no compiled path.
#
# The holder must be an instance of the class that the offset is of: the callers see to that.
from cpython.float cimport PyFloat_AsDouble, PyFloat_FromDouble
from cpython.long cimport PyLong_FromLong
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from subproxy.fastpath._bytes cimport slot_offset

cdef extern from "fast.h":
    PyObject *slot_get(PyObject *, Py_ssize_t)
    void slot_set(PyObject *, Py_ssize_t, PyObject *)
    long long_of(PyObject *) except? -1


cdef inline Py_ssize_t slot(type kind, str name) except -1:
    cdef Py_ssize_t offset = slot_offset(kind.__dict__[name])
    if offset < 0:
        raise ImportError(f"{kind.__name__}.{name} is not a slot")
    return offset


cdef inline object get(object holder, Py_ssize_t offset):
    cdef PyObject *value = slot_get(<PyObject *>holder, offset)
    if value == NULL:
        raise AttributeError("a slot is empty")
    return <object>value


cdef inline long number(object holder, Py_ssize_t offset) except? -1:
    cdef PyObject *value = slot_get(<PyObject *>holder, offset)
    if value == NULL:
        raise AttributeError("a slot is empty")
    return long_of(value)


cdef inline double real(object holder, Py_ssize_t offset) except? -1.0:
    cdef PyObject *value = slot_get(<PyObject *>holder, offset)
    if value == NULL:
        raise AttributeError("a slot is empty")
    return PyFloat_AsDouble(<object>value)


cdef inline int set_number(object holder, Py_ssize_t offset, long value) except -1:
    boxed = PyLong_FromLong(value)
    Py_INCREF(boxed)
    slot_set(<PyObject *>holder, offset, <PyObject *>boxed)
    return 0


cdef inline int set_real(object holder, Py_ssize_t offset, double value) except -1:
    boxed = PyFloat_FromDouble(value)
    Py_INCREF(boxed)
    slot_set(<PyObject *>holder, offset, <PyObject *>boxed)
    return 0
