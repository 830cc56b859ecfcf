"""Objects that the collector does not look at, as they were before a test."""

from __future__ import annotations

import gc
from collections.abc import Callable


def frozen_as_before() -> Callable[[], None]:
    """
    To be called before a test freezes anything; what is returned lets go of that.

    C{tools.testing} has frozen what is loaded, or nobody has frozen anything.
    """
    frozen = gc.get_freeze_count() > 0

    def restore() -> None:
        gc.unfreeze()
        if frozen:
            gc.freeze()

    return restore
