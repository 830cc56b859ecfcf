/* What a stream gathers, in a list of bytes objects: with less work than the list itself takes. */
#ifndef SUBPROXY_GATHER_H
#define SUBPROXY_GATHER_H

#include <Python.h>

/* The only item, which the list loses. Its room for items stays: it has another one soon. */
static inline PyObject *take_only(PyObject *list) {
    PyObject *item = PyList_GET_ITEM(list, 0);
    Py_SET_SIZE(list, 0);
    return item;
}

/* Make the last item, a bytes object that nobody else holds, as long as it is filled; -1 and an
   exception if that fails: the item is lost then. */
static inline int trim_last(PyObject *list, Py_ssize_t size) {
    Py_ssize_t last = PyList_GET_SIZE(list) - 1;
    PyObject *item = PyList_GET_ITEM(list, last);
    if (PyBytes_GET_SIZE(item) == size) return 0;
    if (_PyBytes_Resize(&item, size) < 0) {
        Py_SET_SIZE(list, last);
        return -1;
    }
    PyList_SET_ITEM(list, last, item);
    return 0;
}

#endif
