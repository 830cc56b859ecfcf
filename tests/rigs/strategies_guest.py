"""What hypothesis makes for the tests of the guest."""

from __future__ import annotations

from hypothesis import strategies as st

_scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.binary(max_size=40)

values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)

frames = st.lists(values, max_size=6)
"""Lists that the wire can carry."""
