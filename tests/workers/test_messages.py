"""What a parent and its workers say, as packets and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.workers import messages as msg
from subproxy.workers.messages import (
    MAX_DESCRIPTORS,
    PACKET,
    ChannelMessage,
    MessageBroken,
    MessageDecoder,
    encode,
)


def received(packets: list[bytes], descriptors: tuple[int, ...] = ()) -> list[ChannelMessage]:
    """The messages of those packets, with descriptors beside the first one."""
    decoder = MessageDecoder()
    found = [decoder.feed(packets[0], descriptors)]
    found += [decoder.feed(packet) for packet in packets[1:]]
    return [each for each in found if each is not None]


class MessageTests(SynchronousTestCase):
    @given(
        st.text(), st.lists(st.text(max_size=10), max_size=3), st.booleans(), st.binary(max_size=99)
    )
    def test_there_and_back(
        self, identity: str, refusal: list[str], late: bool, payload: bytes
    ) -> None:
        """Whatever text, bytes and descriptors there are."""
        said = msg.PassedGuest(identity, refusal, late, payload=payload, descriptors=(3, 4))
        self.assertEqual(received(encode(said), (3, 4)), [said])

    @given(st.integers(0, 5 * PACKET))
    def test_long_ones_take_several_packets(self, size: int) -> None:
        """Each of which fits into a socket; descriptors come with the first."""
        said = msg.Answer(7, payload=b"x" * size, descriptors=(5,))
        packets = encode(said)
        self.assertLessEqual(max(map(len, packets)), PACKET + 1)
        self.assertEqual(received(packets, (5,)), [said])

    def test_partial(self) -> None:
        """It is known whether a message is half received."""
        decoder = MessageDecoder()
        first, *_, last = encode(msg.Answer(7, payload=b"x" * 3 * PACKET))
        self.assertFalse(decoder.partial)
        decoder.feed(first)
        self.assertTrue(decoder.partial)
        decoder.feed(last)
        self.assertFalse(decoder.partial)

    def test_what_is_none(self) -> None:
        """Neither the frame, nor its values, nor the count of descriptors."""
        for packet in (
            b"?",
            b".",
            b".nonsense\n",
            b'.["Answer", 1, 0]\n',
            b".[1, {}, 0]\n",
            b'.["Answer", {"number": 1}, 1]\n',
            b".[1]\n",
        ):
            self.assertRaises(MessageBroken, MessageDecoder().feed, packet)

    def test_of_another_version(self) -> None:
        """Whatever that has added: a message, a value; or it lacks one that is needed here."""
        decoder = MessageDecoder()
        for packet, found in (
            (b'.["Nobody", {}, 0]\n', msg.UnknownMessage),
            (b'.["UnknownMessage", {"name": "x", "why": "y"}, 0]\n', msg.UnknownMessage),
            (b'.["Answer", {"wrong": 1}, 0]\n', msg.UnknownMessage),
            (b'.["Answer", {"number": 1, "new": [], "payload": 1}, 0]\nx', msg.Answer),
        ):
            self.assertIsInstance(decoder.feed(packet), found)
        self.assertEqual(decoder.feed(packet), msg.Answer(1, payload=b"x"))
        unknown = decoder.feed(b'.["Nobody", {}, 2]\n', (7, 8))
        assert unknown is not None
        self.assertEqual(unknown.descriptors, (7, 8))
        self.assertEqual((decoder.held, decoder.partial), ([], False))

    def test_too_many_descriptors(self) -> None:
        """The kernel would not take them."""
        said = msg.Reopen(descriptors=tuple(range(MAX_DESCRIPTORS + 1)))
        self.assertRaises(ValueError, encode, said)

    def test_all_are_known(self) -> None:
        """Each message is found by its name."""
        for name in (
            "Fork",
            "Begin",
            "PassedGuest",
            "Ask",
            "Answer",
            "Ready",
            "Logged",
            "PeerLink",
        ):
            self.assertIn(name, ChannelMessage.kinds)
