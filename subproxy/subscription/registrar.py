"""
What a guest may register, and what becomes of it: C{hello}, C{register}, C{unregister}, C{drain}.

The shell round the core's L{Registry}, L{Epochs} and L{Policy}: it reads the clock for them, and
turns their decisions into messages.
"""

from __future__ import annotations
