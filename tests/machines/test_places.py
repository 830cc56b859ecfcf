"""Where instances have their files, and who they are by that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.places import (
    DEFAULT_FOLDER,
    default_folder,
    identity_of,
    instance_of_identity,
    path_fault,
)


class PlaceTests(SynchronousTestCase):
    def test_default_folder(self) -> None:
        """What systemd or a login has made, else that of the system."""
        login = {"XDG_RUNTIME_DIR": "/run/user/7"}
        self.assertEqual(default_folder({}), DEFAULT_FOLDER)
        self.assertEqual(default_folder(login), "/run/user/7/subproxy/machines")
        service = {**login, "RUNTIME_DIRECTORY": "/run/proxy:/run/more"}
        self.assertEqual(default_folder(service), "/run/proxy/machines")

    @given(st.from_regex("[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True), st.integers(0, 63))
    def test_back(self, name: str, index: int) -> None:
        """An identity tells the machine and the instance."""
        identity = identity_of("/run/m", name, index)
        self.assertEqual(instance_of_identity("/run/m", identity), (name, index))

    def test_others(self) -> None:
        """What is none of a machine."""
        for identity in (
            "cid:3",
            "path:/run/m/blog",
            "path:/run/m/blog/0/other",
            "path:/run/m/blog/x/vsock",
            "path:/run/m/blog/0/vsock/vsock",
            "path:/run/more/blog/0/vsock",
        ):
            self.assertIsNone(instance_of_identity("/run/m", identity), identity)

    def test_too_long(self) -> None:
        """The path of a socket has 107 bytes at most."""
        self.assertIsNone(path_fault("/" + "a" * 87, "blog", 1, 12345))
        self.assertIn("107", path_fault("/" + "a" * 88, "blog", 1, 12345) or "")
        self.assertIsNotNone(path_fault("/" + "a" * 87, "blog", 11, 12345))
