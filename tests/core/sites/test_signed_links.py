"""Tests of subproxy.core.sites.signed_links: what is let in, and ten thousand that are not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from random import Random

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeSerializer
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.sites.signed_links import MAX_LIFETIME, MAX_TOKEN, Link, LinkKeys
from tests.rigs.examples import examples
from tests.rigs.private_site import SECRETS, WALL, token

KEYS = LinkKeys(SECRETS)
LINK = Link("5f3a91c20b7d", "a.example", "/docs", int(WALL) + 3600)
GOOD = KEYS.sign(LINK).encode()
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


class LinkTests(SynchronousTestCase):
    def test_opens(self) -> None:
        for path, opened, closed in (
            ("/", ("/", "/x", "/x/y%2Fz"), ()),
            ("/docs", ("/docs", "/docs/", "/docs/a%2Fb"), ("/", "/doc", "/docsx", "/other")),
            ("/docs/", ("/docs", "/docs/x"), ("/docsx",)),
            # By either reading of an escaped slash.
            ("/docs", (), ("/docs%2Fx", "/docs/..%2F..%2Fother", "/docs/%5C..%5C..%5Cx")),
        ):
            link = LINK._replace(path=path)
            for each in opened:
                self.assertTrue(link.opens(b"a.example", each.encode()), (path, each))
            for each in closed:
                self.assertFalse(link.opens(b"a.example", each.encode()), (path, each))
            for host in b"b.example", b"x.a.example", b"example", b"":
                self.assertFalse(link.opens(host, b"/docs"))


class LinkKeysTests(SynchronousTestCase):
    def test_good(self) -> None:
        """Until the second in which it expires; and it says nothing that an address can't hold."""
        self.assertEqual(KEYS.read(GOOD, WALL), LINK)
        self.assertEqual(KEYS.read(GOOD, WALL + 3599.9), LINK)
        for late in 3600.0, 3601.0, 1e9, float("inf"):
            self.assertIsNone(KEYS.read(GOOD, WALL + late))
        self.assertEqual(GOOD.translate(None, LETTERS), b"")

    def test_a_rotation(self) -> None:
        """The newest signs; any that is left counts; without its key a link opens nothing."""
        by_old = LinkKeys(SECRETS[:1]).sign(LINK).encode()
        self.assertEqual(KEYS.read(by_old, WALL), LINK)
        self.assertEqual(LinkKeys(SECRETS[1:]).read(GOOD, WALL), LINK)
        self.assertIsNone(LinkKeys(SECRETS[1:]).read(by_old, WALL))
        self.assertIsNone(LinkKeys(SECRETS[:1]).read(GOOD, WALL))

    def test_revoked(self) -> None:
        keys = LinkKeys(SECRETS, frozenset([LINK.name]))
        self.assertIsNone(keys.read(GOOD, WALL))
        other = LINK._replace(name="0123456789ab")
        self.assertEqual(keys.read(keys.sign(other).encode(), WALL), other)

    def test_secrets_are_not_shown(self) -> None:
        for secret in SECRETS:
            self.assertNotIn(secret, repr(KEYS))

    def test_signed_for_something_else(self) -> None:
        """By the same key: with another salt, digest or content."""
        for salt, digest, said in (
            ("other", hashlib.sha256, [*LINK]),
            ("subproxy link 1", hashlib.sha1, [*LINK]),
            ("subproxy link 1", hashlib.sha256, [*LINK][:3]),
            ("subproxy link 1", hashlib.sha256, [*LINK, 1]),
            ("subproxy link 1", hashlib.sha256, {"name": "x"}),
            ("subproxy link 1", hashlib.sha256, 7),
            ("subproxy link 1", hashlib.sha256, None),
            ("subproxy link 1", hashlib.sha256, ["a", "b", "c", "1800003600"]),
            ("subproxy link 1", hashlib.sha256, ["a", "b", "c", True]),
            ("subproxy link 1", hashlib.sha256, ["a", "b", "c", 1e300]),
            ("subproxy link 1", hashlib.sha256, ["a", "b", ["/"], 1 << 40]),
        ):
            made = URLSafeSerializer(
                SECRETS[1], salt, signer_kwargs={"digest_method": digest, "key_derivation": "hmac"}
            ).dumps(said)
            assert isinstance(made, str)
            self.assertIsNone(KEYS.read(made.encode(), WALL), said)

    def test_spelt_otherwise(self) -> None:
        """The signature is the same, and it is another token: a base64 is read in many ways."""
        body, _, signature = GOOD.partition(b".")
        last = LETTERS.index(signature[-1:])
        for number in range(last & ~3, (last & ~3) + 4):
            spelt = body + b"." + signature[:-1] + LETTERS[number : number + 1]
            self.assertEqual(KEYS.read(spelt, WALL) is not None, spelt == GOOD)
        for spelt in (
            *(GOOD + b"=", GOOD + b"==", GOOD + b"\n", b" " + GOOD, GOOD + b"%3D"),
            *(body + b"=." + signature, body + b".." + signature, body + b".!" + signature),
            body + b"." + signature[:20] + b"*" + signature[20:],
        ):
            self.assertIsNone(KEYS.read(spelt, WALL), spelt)


def forged() -> Iterator[bytes]:
    """What one makes who knows how links are made, and no key."""
    random = Random(23)
    payload = base64.urlsafe_b64encode(json.dumps([*LINK]).encode()).rstrip(b"=")
    for number in range(4000):
        secret = random.randbytes(random.choice((0, 1, 16, 32)))
        if number % 2:
            yield LinkKeys((secret.hex() or "x",)).sign(LINK).encode()
            continue
        digest = random.choice((hashlib.sha256, hashlib.sha1, hashlib.sha512, hashlib.md5))
        signature = hmac.new(secret, payload, digest).digest()
        signature = random.choice((signature, signature[:1], b"", random.randbytes(32)))
        yield payload + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")


def mutated() -> Iterator[bytes]:
    """A good one of which something is different: each letter, two letters, a part, an end."""
    random = Random(24)
    for at in range(len(GOOD)):
        for letter in LETTERS:
            changed = GOOD[:at] + bytes([letter]) + GOOD[at + 1 :]
            if changed != GOOD:
                yield changed
    for end in range(len(GOOD)):
        yield GOOD[:end]
        yield GOOD[end + 1 :]
        yield GOOD[:end] + GOOD[end + 1 :]
        yield GOOD[:end] + GOOD[end : end + 1] * 2 + GOOD[end + 1 :]
    for _ in range(2000):
        one, other = sorted(random.sample(range(len(GOOD)), 2))
        letters = bytes(random.choices(LETTERS, k=2))
        changed = GOOD[:one] + letters[:1] + GOOD[one + 1 : other] + letters[1:] + GOOD[other + 1 :]
        if changed != GOOD:
            yield changed
    body, _, signature = GOOD.partition(b".")
    for other in (token("/"), token(host="b.example"), token(expires=9e6), token(name="0" * 12)):
        there, _, of_other = other.partition(b".")
        yield body + b"." + of_other
        yield there + b"." + signature


class RefusedTests(SynchronousTestCase):
    def test_ten_thousand(self) -> None:
        """None of them opens anything, and the one that they are made of does."""
        tried = set(forged()) | set(mutated())
        self.assertGreaterEqual(len(tried), 10_000)
        for each in tried:
            # Two that differ in letters may, by chance alone, be the same.
            self.assertNotEqual(each, GOOD)
            self.assertIsNone(KEYS.read(each, WALL), each)
        self.assertEqual(KEYS.read(GOOD, WALL), LINK)

    @settings(max_examples=examples(1000), deadline=None)
    @given(st.binary(max_size=300) | st.text(alphabet=LETTERS.decode(), max_size=300))
    def test_anything(self, told: bytes | str) -> None:
        said = told if isinstance(told, bytes) else told.encode()
        assume(said != GOOD)
        self.assertIsNone(KEYS.read(said, WALL))

    @settings(max_examples=examples(500), deadline=None)
    @given(
        st.integers(0, len(GOOD)),
        st.integers(0, len(GOOD)),
        st.binary(max_size=8) | st.text(alphabet=LETTERS.decode(), max_size=8).map(str.encode),
    )
    def test_a_part_is_another(self, begin: int, end: int, part: bytes) -> None:
        changed = GOOD[:begin] + part + GOOD[end:]
        assume(changed != GOOD)
        self.assertIsNone(KEYS.read(changed, WALL))

    def test_the_longest(self) -> None:
        """A token of 2,048 bytes is read, and no longer one."""
        letters = "".join(Random(7).choices(LETTERS.decode(), k=2100))
        read = {}
        for size in range(1884, 1896):
            link = LINK._replace(path="/" + letters[:size])
            told = KEYS.sign(link).encode()
            read[len(told)] = KEYS.read(told, WALL) == link
        self.assertLessEqual({2047, 2048, 2049}, set(read))
        for size, good in read.items():
            self.assertIs(good, size <= 2048, size)

    def test_the_longest_life(self) -> None:
        """A leap year: an operator may make a link that lives for so many seconds."""
        self.assertEqual(MAX_LIFETIME, 31_622_400)

    def test_long(self) -> None:
        self.assertIsNone(KEYS.read(GOOD[:-44] + b"A" * MAX_TOKEN + GOOD[-44:], WALL))
