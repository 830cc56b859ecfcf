"""The two vsock addresses and the identities that they stand for."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.endpoints.addresses import CID_ANY, PORT_ANY, HybridVsockAddress, VsockAddress


class VsockAddressTests(SynchronousTestCase):
    def test_interface(self) -> None:
        """It is an address."""
        verifyObject(IAddress, VsockAddress(10, 12345))

    def test_identityIsTheCid(self) -> None:
        """Two ports of one VM are one identity."""
        self.assertEqual(VsockAddress(10, 1024).identity, "cid:10")
        self.assertEqual(VsockAddress(10, 1025).identity, "cid:10")

    def test_value(self) -> None:
        """Equal numbers make equal addresses, which can be keys."""
        self.assertEqual({VsockAddress(3, 1): "x"}[VsockAddress(3, 1)], "x")
        self.assertNotEqual(VsockAddress(3, 1), VsockAddress(3, 2))

    def test_repr(self) -> None:
        """Well-known numbers are shown by name."""
        self.assertEqual(repr(VsockAddress(10, 12345)), "VsockAddress(10, 12345)")
        self.assertEqual(repr(VsockAddress(2, 12345)), "VsockAddress(host, 12345)")
        self.assertEqual(repr(VsockAddress(CID_ANY, PORT_ANY)), "VsockAddress(any, any)")


class HybridVsockAddressTests(SynchronousTestCase):
    def folder(self) -> Path:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        return Path(os.path.realpath(folder))

    def test_interface(self) -> None:
        """It is an address."""
        verifyObject(IAddress, HybridVsockAddress("/tmp/cid10.sock", 12345))

    def test_identityIsTheSocketOfTheVm(self) -> None:
        """The port has no part in it."""
        path = str(self.folder() / "cid10.sock")
        self.assertEqual(HybridVsockAddress(path, 12345).identity, "path:" + path)
        self.assertEqual(HybridVsockAddress(path).identity, "path:" + path)

    def test_foldersAreNormalised(self) -> None:
        """A folder has one identity, however it is spelt."""
        real = self.folder() / "real"
        real.mkdir()
        link = real.with_name("link")
        link.symlink_to(real)
        expected = f"path:{real}/a.sock"
        for spelt in (real / "a.sock", link / "a.sock", f"{real}/./x/../a.sock"):
            self.assertEqual(HybridVsockAddress(str(spelt)).identity, expected)

    def test_symlinkLendsNoIdentity(self) -> None:
        """A link beside another VM's socket is still its own identity."""
        folder = self.folder()
        (folder / "b.sock").symlink_to(folder / "a.sock")
        self.assertEqual(HybridVsockAddress(f"{folder}/b.sock").identity, f"path:{folder}/b.sock")

    def test_socketPath(self) -> None:
        """The VMM connects to the path with the port behind it."""
        self.assertEqual(HybridVsockAddress("/run/a.sock", 99).socket_path, "/run/a.sock_99")
        self.assertRaises(ValueError, lambda: HybridVsockAddress("/run/a.sock").socket_path)

    def test_repr(self) -> None:
        """A guest's end has no port."""
        self.assertEqual(repr(HybridVsockAddress("/a", 1)), "HybridVsockAddress('/a', 1)")
        self.assertEqual(repr(HybridVsockAddress("/a")), "HybridVsockAddress('/a')")
