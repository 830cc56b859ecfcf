"""Where a program listens."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.address import ProgramAddress, parse_program_address


class AddressTests(SynchronousTestCase):
    def test_what_is_understood(self) -> None:
        for text, host, port in (
            ("http://127.0.0.1:3000", "127.0.0.1", 3000),
            ("http://localhost:5173/", "localhost", 5173),
            ("HTTP://web", "web", 80),
            ("http://[::1]:8080", "::1", 8080),
            ("127.0.0.1:3000", "127.0.0.1", 3000),
            ("[::1]:1", "::1", 1),
        ):
            self.assertEqual(parse_program_address(text), ProgramAddress(host, port), text)

    def test_unix(self) -> None:
        self.assertEqual(
            parse_program_address("unix:/run/a.sock"), ProgramAddress("", 0, "/run/a.sock")
        )
        self.assertEqual(parse_program_address("unix:///run/a.sock").path, "/run/a.sock")
        self.assertEqual(parse_program_address("unix:a.sock").path, "a.sock")
        self.assertEqual(parse_program_address("unix:@name").path, "\0name")

    def test_what_is_not(self) -> None:
        for text, reason in (
            ("https://127.0.0.1:3000", "plain http"),
            ("ftp://127.0.0.1", "plain http"),
            ("http://127.0.0.1:3000/api", "no path"),
            ("http://127.0.0.1:3000?a", "no path"),
            ("http://127.0.0.1:70000", "65535"),
            ("http://127.0.0.1:x", "65535"),
            ("http://[::1:3000", "brackets"),
            ("http://a@b:3000", "no user"),
            ("http://:3000", "has a host"),
            ("http://127.0.0.1:0", "other than 0"),
            ("http://b\xfccher:1", "has a host"),
            ("http://a b:1", "has a host"),
            ("3000", "such as"),
            ("localhost", "such as"),
            ("", "such as"),
            ("unix:", "1 to 107"),
            ("unix:@", "1 to 107"),
            ("unix:/" + 107 * "a", "1 to 107"),
        ):
            with self.assertRaises(ValueError, msg=text) as raised:
                parse_program_address(text)
            self.assertIn(reason, str(raised.exception), text)

    def test_what_is_shown(self) -> None:
        for text, shown, authority in (
            ("http://127.0.0.1:3000", "127.0.0.1:3000", b"127.0.0.1:3000"),
            ("http://[::1]:3000", "[::1]:3000", b"[::1]:3000"),
            ("http://web", "web:80", b"web"),
            ("unix:@name", "unix:@name", b"localhost"),
        ):
            address = parse_program_address(text)
            self.assertEqual((str(address), address.authority), (shown, authority))
