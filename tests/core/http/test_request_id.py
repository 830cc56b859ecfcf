"""Request ids."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.request_id import RequestIds, acceptable


class RequestIdTests(SynchronousTestCase):
    def test_ids_differ_within_a_process_and_between_processes(self) -> None:
        one, other = RequestIds(), RequestIds()
        made = [ids.make() for ids in (one, one, other)]
        self.assertEqual(len(set(made)), 3)
        self.assertEqual(made[0][:16], made[1][:16])
        self.assertNotEqual(made[0][:16], made[2][:16])
        self.assertTrue(all(acceptable(each) for each in made))

    def test_64_bits_of_it_are_random(self) -> None:
        self.assertEqual(len(bytes.fromhex(RequestIds().prefix.decode())), 8)

    def test_a_percent_sign_in_a_prefix_is_only_that(self) -> None:
        self.assertEqual(RequestIds(b"50%").make(), b"50%-00000001")

    def test_what_is_taken_from_others(self) -> None:
        for good in (b"a", b"0194-AB_c.d:e/f+g=h@i", b"x" * 128):
            self.assertTrue(acceptable(good))
        for bad in (b"", b"x" * 129, b"a b", b"a\r\n", b'"', b"\xe9", b"a,b"):
            self.assertFalse(acceptable(bad))
