"""Random numbers of a machine that goes on from a snapshot."""

from __future__ import annotations

import os
import random
import ssl
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from guest import minimal
from guest.core import wall_clock
from guest.core.profile import SubscriberProfile
from guest.core.reseed import mixed, reseed


class ReseedTests(SynchronousTestCase):
    def setUp(self) -> None:
        state = random.getstate()
        self.addCleanup(random.setstate, state)
        self.corrected: list[None] = []
        # The clock is of whoever runs the tests.
        self.patch(wall_clock, "correct", lambda: self.corrected.append(None))

    def test_copies_differ(self) -> None:
        """Also where the kernel gives each the same numbers, which only the salt tells apart."""
        with mock.patch.object(os, "urandom", lambda size: b"x" * size):
            numbers = []
            for salt in (b"one", b"two"):
                random.seed(1)
                reseed(salt, os.devnull)
                numbers.append((random.random(), mixed(salt)))
            self.assertEqual(len({each for pair in numbers for each in pair}), 4)
            instances = []
            for salt in (b"one", b"two"):
                profile = SubscriberProfile("a", instance="same")
                profile.restored(salt)
                instances.append(profile.instance)
        self.assertEqual(len({*instances, "same"}), 3)

    def test_the_kernel_is_told(self) -> None:
        """What is no device of random numbers takes nothing up; root's takes it up at once."""
        self.assertFalse(reseed(b"salt", "/nowhere"))
        path = self.mktemp()
        with open(path, "wb"):
            pass
        self.assertFalse(reseed(b"salt", path))
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"salt")
        if os.geteuid() == 0:
            self.assertTrue(reseed(b"salt"))

    def test_openssl(self) -> None:
        """Has random numbers of its own, which copies of a machine share: keys of TLS."""
        for begin, device in ((reseed, os.devnull), (minimal.reseed, None)):
            with (
                mock.patch.object(ssl, "RAND_add") as add,
                mock.patch.object(os, "urandom", lambda size: b"x" * size),
            ):
                for salt in (b"one", b"two"):
                    begin(salt) if device is None else begin(salt, device)
            taken = [call.args[0] for call in add.call_args_list]
            self.assertEqual(len(set(taken)), 2)

    def test_once(self) -> None:
        """Several subscriptions hear of the same restore."""
        profile = SubscriberProfile("a")
        profile.restored(b"one")
        instance = profile.instance
        profile.restored(b"one")
        self.assertEqual(profile.instance, instance)
        self.assertEqual(len(self.corrected), 1)
        profile.restored(b"two")
        self.assertNotEqual(profile.instance, instance)
