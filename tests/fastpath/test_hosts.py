"""Another host's connection whose frames the compiled path takes where TLS has put them."""

from __future__ import annotations

import sys
from types import FrameType

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.frontend.peer.host_tls_case import compiled_engine
from tests.rigs.memory_hosts import MemoryHosts

skip = unavailable()


class HostLeavesTests(SynchronousTestCase):
    """What takes frames is there until it has returned, whatever is in them."""

    def setUp(self) -> None:
        from subproxy.fastpath import subscription_protocol
        from subproxy.fastpath._answer_channel import FastAnswerChannel

        self.freed: list[list[str]] = []
        freed = self.freed

        class Channel(FastAnswerChannel):
            """Tells who was being called when it was freed."""

            def __del__(self) -> None:
                names: list[str] = []
                frame: FrameType | None = sys._getframe()
                while frame is not None:
                    names.append(frame.f_code.co_name)
                    frame = frame.f_back
                freed.append(names)

        self.patch(subscription_protocol, "FastAnswerChannel", Channel)
        self.rig = MemoryHosts(self.mktemp(), "kvm-1", "kvm-2", engine=compiled_engine())
        self.one, self.two = self.rig.hosts.values()
        for host in (self.one, self.two):
            host.host_factory.protocol = subscription_protocol.fast_subscription_protocol(None)
        self.rig.introduce(self.one, self.two)
        guest = self.rig.serving(self.one)
        _, sink = self.two.ask()
        self.rig.pump()
        (request,) = guest.take(m.Request)
        guest.say(m.Response(request.exchange, 200, [], {}, b"hello"))
        self.rig.pump()
        self.assertEqual((sink.body, self.freed), (b"hello", []))
        self.peer = self.one.links._asking[0]

    def check(self) -> None:
        """It was freed, and not while frames were dealt with."""
        self.rig.pump()
        (names,) = self.freed
        self.assertNotIn("frames_received", names)

    def test_bye(self) -> None:
        self.peer.wire.send(m.Bye(b"done", b"it leaves"))
        self.peer.flush()
        self.check()

    def test_no_frame(self) -> None:
        self.peer.transport.write(b"this is no frame")
        self.check()
