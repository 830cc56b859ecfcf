"""
New random numbers for a machine that goes on from a snapshot: its copies have the same ones.

The kernel notices by itself where it has a driver of the VM generation ID. Where not (Debian's
cloud kernel 6.1), all copies would go on with the same keys: what the proxy says of each, which is
random and differs (C{epoch} of C{welcome}), is mixed in.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import sys
from typing import Final

RNDRESEEDCRNG: Final = 0x5207
"""Takes up what was mixed in at once, not within a minute (C{include/uapi/linux/random.h})."""

DEVICE: Final = "/dev/urandom"


def reseed(salt: bytes, device: str = DEVICE) -> bool:
    """
    Mix C{salt} into the kernel's random numbers, and begin those of C{random} and OpenSSL anew.

    @return: whether the kernel has taken it up already: only root may have it do so. Until it has,
        only what is made with the salt differs from what other copies make.
    """
    taken = False
    try:
        descriptor = os.open(device, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        pass
    else:
        try:
            os.write(descriptor, salt)
            fcntl.ioctl(descriptor, RNDRESEEDCRNG)
            taken = True
        except OSError:
            pass
        finally:
            os.close(descriptor)
    random.seed(mixed(salt))
    tls = sys.modules.get("ssl")
    if tls is not None:
        tls.RAND_add(mixed(salt), 0.0)
    return taken


def mixed(salt: bytes) -> bytes:
    """32 random bytes, which differ from those of copies with another salt whatever they have."""
    return hashlib.sha256(os.urandom(32) + salt).digest()
