"""The endpoint strings."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpointStringParser,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.endpoints.addresses import CID_ANY, HybridVsockAddress, VsockAddress
from subproxy.endpoints.hybrid import HybridVsockServerEndpoint
from subproxy.endpoints.hybridclient import HybridVsockClientEndpoint
from subproxy.endpoints.native import VsockClientEndpoint, VsockServerEndpoint
from subproxy.endpoints.parsers import HybridVsockParser, VsockParser


def server(description: str) -> Any:
    return serverFromString(MemoryReactorClock(), description)


def client(description: str) -> Any:
    return clientFromString(MemoryReactorClock(), description)


class PluginTests(SynchronousTestCase):
    def test_interfaces(self) -> None:
        """Each parser is a plugin for both sides."""
        for parser in (VsockParser(), HybridVsockParser()):
            for interface in (
                IPlugin,
                IStreamServerEndpointStringParser,
                IStreamClientEndpointStringParserWithReactor,
            ):
                verifyObject(interface, parser)


class VsockStringTests(SynchronousTestCase):
    def test_server(self) -> None:
        """A port alone listens on any CID, with a backlog that does not freeze a VM."""
        endpoint = server("vsock:12345")
        self.assertIsInstance(endpoint, VsockServerEndpoint)
        self.assertEqual(endpoint.address, VsockAddress(CID_ANY, 12345))
        self.assertEqual(endpoint._backlog, 1024)
        self.assertFalse(endpoint._allowLocal)

    def test_serverOptions(self) -> None:
        """Every option arrives where it belongs."""
        endpoint = server("vsock:port=99:cid=2:backlog=2048:buffer=1048576:local=yes")
        self.assertEqual(endpoint.address, VsockAddress(2, 99))
        self.assertEqual(endpoint._backlog, 2048)
        self.assertEqual(endpoint._bufferSize, 1048576)
        self.assertTrue(endpoint._allowLocal)

    def test_cidByName(self) -> None:
        """The CIDs that have names can be told by name."""
        for name, cid in (("any", CID_ANY), ("-1", CID_ANY), ("local", 1), ("host", 2)):
            self.assertEqual(server(f"vsock:1024:cid={name}").address.cid, cid)

    def test_client(self) -> None:
        """CID and port."""
        endpoint = client("vsock:2:12345:timeout=2.5:buffer=4096")
        self.assertIsInstance(endpoint, VsockClientEndpoint)
        self.assertEqual(endpoint.address, VsockAddress(2, 12345))
        self.assertEqual((endpoint._timeout, endpoint._bufferSize), (2.5, 4096))

    def test_serverErrors(self) -> None:
        """What can't be understood is told in one line."""
        for description, message in (
            ("vsock:", "vsock:PORT was expected: the port is missing"),
            ("vsock:1:2", "vsock:PORT was expected: '2' is too much"),
            ("vsock:1:port=2", "vsock:PORT was expected: port is given twice"),
            ("vsock:x", "vsock: port=x: a number from 0 to 4294967294 was expected"),
            ("vsock:4294967295", "vsock: port=4294967295: a number from 0 to 4294967294"),
            ("vsock:1:cid=me", "vsock: cid=me: a number from 0 to 4294967295 was expected"),
            ("vsock:1:local=perhaps", "vsock: local=perhaps: yes or no was expected"),
            ("vsock:1:color=red", "vsock: has no option 'color'; it has port, cid, backlog"),
        ):
            self.assertLine(message, server, description)

    def test_clientErrors(self) -> None:
        """The same of the client's strings."""
        for description, message in (
            ("vsock:2", "vsock:CID:PORT was expected: the port is missing"),
            ("vsock:2:3:4", "vsock:CID:PORT was expected: '4' is too much"),
            ("vsock:2:3:timeout=0", "vsock: timeout=0: a number of seconds above 0"),
            ("vsock:2:3:timeout=nan", "vsock: timeout=nan: a number of seconds above 0"),
        ):
            self.assertLine(message, client, description)

    def assertLine(self, message: str, parse: Any, description: str) -> None:
        error = str(self.assertRaises(ValueError, parse, description))
        self.assertIn(message, error)
        self.assertNotIn("\n", error)


class HybridStringTests(SynchronousTestCase):
    def test_server(self) -> None:
        """The path of the VM's socket; the port may be left out."""
        endpoint = server("hvsock:/tmp/cid10.sock:port=99:mode=600")
        self.assertIsInstance(endpoint, HybridVsockServerEndpoint)
        self.assertEqual(endpoint.address, HybridVsockAddress("/tmp/cid10.sock", 99))
        self.assertEqual(endpoint._mode, 0o600)
        self.assertEqual(server("hvsock:/tmp/a").address, HybridVsockAddress("/tmp/a", 12345))
        self.assertEqual(server("hvsock:/tmp/a:7").address, HybridVsockAddress("/tmp/a", 7))

    def test_serverOptions(self) -> None:
        """Every option arrives where it belongs, and a backlog is never a small one."""
        endpoint = server("hvsock:/tmp/a:backlog=4096:owner=root:group=0:uids=0,1000")
        self.assertEqual(endpoint._backlog, 4096)
        self.assertEqual((endpoint._owner, endpoint._group), ("root", "0"))
        self.assertEqual(endpoint._peerUids, {0, 1000})
        self.assertEqual(server("hvsock:/tmp/a:backlog=5")._backlog, 1024)

    def test_client(self) -> None:
        """The same string dials into the guest."""
        endpoint = client("hvsock:/tmp/cid10.sock:port=99:timeout=3")
        self.assertIsInstance(endpoint, HybridVsockClientEndpoint)
        self.assertEqual(endpoint.address, HybridVsockAddress("/tmp/cid10.sock", 99))
        self.assertEqual(endpoint._timeout, 3)

    def test_errors(self) -> None:
        """What can't be understood is told in one line."""
        for description, message in (
            ("hvsock:", "hvsock:PATH[:PORT] was expected: the path is missing"),
            ("hvsock:/run/*.sock", "hvsock: path=/run/*.sock: the socket of one VM was expected"),
            ("hvsock:/a:mode=9", "hvsock: mode=9: an octal mode such as 660 was expected"),
            ("hvsock:/a:mode=1777", "hvsock: mode=1777: an octal mode such as 660 was expected"),
            ("hvsock:/a:uids=root", "hvsock: uids=root: a number from 0"),
            ("hvsock:/a:cid=3", "hvsock: has no option 'cid'; it has path, port, backlog, mode"),
        ):
            error = str(self.assertRaises(ValueError, server, description))
            self.assertIn(message, error)


class AnyStringTests(SynchronousTestCase):
    @given(
        st.sampled_from([VsockParser(), HybridVsockParser()]),
        st.lists(st.text(max_size=12), max_size=4),
        st.dictionaries(
            st.sampled_from(
                [
                    "port",
                    "cid",
                    "path",
                    "mode",
                    "uids",
                    "backlog",
                    "timeout",
                    "buffer",
                    "local",
                    "x",
                ]
            ),
            st.text(max_size=12),
            max_size=4,
        ),
    )
    def test_endpointOrValueError(self, parser: Any, args: Any, kwargs: Any) -> None:
        """Whatever is written, there is an endpoint, or a ValueError of one line."""
        for parse in (parser.parseStreamServer, parser.parseStreamClient):
            try:
                parse(MemoryReactorClock(), *args, **kwargs)
            except ValueError as e:
                self.assertTrue(str(e))
