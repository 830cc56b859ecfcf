"""Bodies that are collected before their requests are sent on: on both paths each gets its room."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.wire import messages as m
from tests.rigs.fake_dispatcher import echo
from tests.rigs.http2_client import POST, Http2Client
from tests.rigs.http2_rig import Http2Rig
from tests.rigs.http2_sides import Http2Side


def sized(size: int) -> list[tuple[bytes, bytes]]:
    """A request with a body of so many bytes."""
    return [*POST, (b"content-length", b"%d" % size)]


class Uploads:
    """Bodies that a client sends in turns, a frame of each, as far as it may."""

    def __init__(
        self, client: Http2Client, numbers: range, size: int, frame: int, padding: int | None = None
    ) -> None:
        self._h2 = client.h2
        self._left = dict.fromkeys(numbers, size)
        self._frame = frame
        self._padding = padding
        for number in numbers:
            client.request(number, sized(size), ended=False)

    def send(self) -> bool:
        """A frame of each; whether there was room for any."""
        sent = False
        beside = 0 if self._padding is None else self._padding + 1
        for number, left in self._left.items():
            size = min(left, self._frame, self._h2.local_flow_control_window(number) - beside)
            if size > 0:
                self._left[number] = left = left - size
                self._h2.send_data(number, b"x" * size, not left, self._padding)
                sent = True
        return sent


class TogetherTests(SynchronousTestCase):
    skip = unavailable()

    def test_more_than_a_connection_has_room_for(self) -> None:
        """Each could be collected, but not all at once: none waits for room that others have."""
        for fast in (True, False):
            side = Http2Side(fast)
            numbers = range(1, 41, 2)
            uploads = Uploads(side.client, numbers, 60_000, 4096)
            while uploads.send():
                side.say(side.client.take())
            self.assertEqual(len(side.asked), len(numbers), f"fast: {fast}")
            for request in side.asked:
                bodies = [each for each in side.sent[request.exchange] if isinstance(each, m.Body)]
                whole = request.body if isinstance(request.body, bytes) else b""
                size = len(whole) + sum(len(each.data) for each in bodies)
                self.assertEqual(size, 60_000, f"fast: {fast}")

    def test_few_are_collected(self) -> None:
        """Where there is room for all, each goes with its request."""
        for fast in (True, False):
            side = Http2Side(fast)
            uploads = Uploads(side.client, range(1, 9, 2), 60_000, 4096)
            while uploads.send():
                side.say(side.client.take())
            self.assertEqual([len(each.body or b"") for each in side.asked], [60_000] * 4)


class AloneTests(SynchronousTestCase):
    def echoed(self, size: int, limits: HttpLimits, padding: int | None = None) -> None:
        rig = Http2Rig(echo, limits)
        uploads = Uploads(rig.client, range(1, 3, 2), size, 1000, padding)
        while uploads.send():
            rig.turn()
        rig.turn()
        self.assertEqual(rig.client.status(1), b"200")
        self.assertEqual(len(rig.client.bodies[1]), size)

    def test_padding(self) -> None:
        """What pads a body takes of its window, too."""
        for padding in (0, 10, 255):
            self.echoed(65_536, HttpLimits(), padding)

    def test_longer_than_a_window(self) -> None:
        """More may be collected than a stream has room for: it is sent on as it comes."""
        self.echoed(200_000, HttpLimits(inline=1 << 20))
