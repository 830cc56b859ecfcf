"""Who may ask the admin listener for what."""

from __future__ import annotations

from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin import guard as guard_module
from subproxy.admin.guard import Guard, Refusal

TOKEN = b"0123456789abcdef-token"
BEARER = b"Bearer " + TOKEN


class GuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = 1_800_000_000.0
        self.guard = Guard(TOKEN, ["Proxy.example"], lambda: self.time)

    def check(
        self,
        method: bytes = b"GET",
        path: bytes = b"/api/routes",
        own: str | None = "192.0.2.1",
        *fields: tuple[bytes, bytes],
        host: bytes | None = b"localhost:9900",
        token: bytes | None = BEARER,
    ) -> Refusal | None:
        given = list(fields)
        if host is not None:
            given.append((b"host", host))
        if token is not None:
            given.append((b"authorization", token))
        return self.guard.check(
            method, path, lambda name: [value for each, value in given if each == name], own
        )

    def status(self, *arguments: object, **more: object) -> int:
        refusal = self.check(*arguments, **more)  # type: ignore[arg-type]
        return 200 if refusal is None else refusal.status

    def test_hosts(self) -> None:
        """Loopback, what was dialled, what is listed; no name that a stranger can point here."""
        for host in (
            b"localhost",
            b"LOCALHOST:9900",
            b"localhost.",
            b"127.0.0.1:9900",
            b"127.8.8.8",
            b"[::1]:9900",
            b"[::1]",
            b"192.0.2.1:9900",
            b"proxy.EXAMPLE:1",
        ):
            self.assertEqual(self.status(host=host), 200, host)
        for host in (
            b"evil.example",
            b"evil.example:9900",
            b"localhost.evil.example",
            b"127.0.0.1.evil.example",
            b"192.0.2.2",
            b"",
            b"[::1",
            b"\xff",
            b"localhost@evil.example",
            b"0x7f000001",
            None,
        ):
            self.assertEqual(self.status(host=host), 421, host)
        self.assertEqual(self.status(b"GET", b"/api", "x", (b"host", b"localhost")), 421)

    def test_own_address(self) -> None:
        """Over IPv6, with a zone, and an IPv4 address in its clothes."""
        for own, host in (
            ("2001:db8::1", b"[2001:DB8:0::1]:9"),
            ("fe80::1%eth0", b"[fe80::1]"),
            ("::ffff:192.0.2.7", b"192.0.2.7:9900"),
        ):
            self.assertEqual(self.status(own=own, host=host), 200, own)

    def test_token(self) -> None:
        """All but three pages need it."""
        for path in (
            b"/api/routes",
            b"/api/drain/x",
            b"/",
            b"/metrics/",
            b"/%6detrics",
            b"//metrics",
        ):
            self.assertEqual(self.status(b"GET", path, token=None), 401, path)
            self.assertEqual(self.status(b"GET", path), 200, path)
        for path in (b"/metrics", b"/healthz", b"/readyz"):
            for method in (b"GET", b"HEAD"):
                self.assertEqual(self.status(method, path, token=None), 200, path)
            for method in (b"POST", b"DELETE"):
                self.assertEqual(self.status(method, path, token=None), 401, path)
            for method in (b"OPTIONS", b"PUT", b"TRACE", b"get"):
                for own in ("x", None):
                    self.assertEqual(self.status(method, path, own), 405, path)

    def test_wrong_tokens(self) -> None:
        """And what is none."""
        for token in (
            b"",
            b"Bearer",
            b"Bearer ",
            BEARER[:-1],
            BEARER + b"x",
            b"Basic " + TOKEN,
            TOKEN,
            b"Bearer \xff",
        ):
            refusal = self.check(token=token)
            assert refusal is not None
            self.assertEqual(refusal.status, 401, token)
            self.assertIn(b"invalid_token", refusal.challenge)
        self.assertEqual(self.status(b"GET", b"/api", "x", (b"authorization", BEARER)), 401)
        for token in (b"bearer " + TOKEN, b"BEARER  " + TOKEN + b" "):
            self.assertEqual(self.status(token=token), 200)
        missing = self.check(token=None)
        assert missing is not None
        self.assertEqual(missing.challenge, b'Bearer realm="admin"')

    def test_cookie(self) -> None:
        """It opens what the token opens; to change something needs Origin too."""
        given = self.guard.sign_in(TOKEN, secure=False)
        assert isinstance(given, bytes)
        cookie = (b"cookie", given.partition(b";")[0])
        ours = (b"origin", b"http://localhost:9900")
        for method, fields, status in (
            (b"GET", [cookie], 200),
            (b"POST", [cookie], 403),
            (b"DELETE", [cookie], 403),
            (b"POST", [cookie, ours], 200),
            (b"POST", [cookie, (b"origin", b"null")], 403),
            (b"POST", [cookie, ours, (b"sec-fetch-site", b"same-site")], 403),
            (b"POST", [ours], 401),
            (b"GET", [(b"cookie", cookie[1] + b"0")], 401),
            (b"GET", [cookie, (b"authorization", b"Bearer wrong")], 401),
        ):
            found = self.status(method, b"/api/drain/x", "x", *fields, token=None)
            self.assertEqual(found, status, fields)
        self.time += 43_200
        self.assertEqual(self.status(b"GET", b"/", "x", cookie, token=None), 401)

    def test_sign_in(self) -> None:
        """Anybody may try, by a name that is ours; a wrong token gets nothing."""
        self.assertEqual(self.status(b"POST", b"/sign-in", token=None), 200)
        self.assertEqual(self.status(b"POST", b"/sign-in", host=b"evil.example"), 421)
        self.assertEqual(self.status(b"GET", b"/sign-in", token=None), 401)
        for guard, token in ((self.guard, b"wrong"), (self.guard, b""), (Guard(), b"")):
            self.assertIsInstance(guard.sign_in(token, secure=False), Refusal)

    def test_no_token_opens_nothing(self) -> None:
        """A guard without token lets nobody in over TCP."""
        self.guard = Guard()
        for token in (None, BEARER, b"Bearer ", b"Bearer None"):
            self.assertEqual(self.status(token=token), 401)
        self.assertEqual(self.status(b"GET", b"/metrics", token=None), 200)

    def test_compared_in_constant_time(self) -> None:
        """How much of a token is right can't be measured."""
        with mock.patch.object(guard_module.hmac, "compare_digest", return_value=True) as compare:
            self.assertEqual(self.status(token=b"Bearer other"), 200)
        compare.assert_called_once_with(b"other", TOKEN)

    def test_unix(self) -> None:
        """Over a UNIX socket the mode has decided; a browser's word still counts."""
        self.assertEqual(self.status(b"POST", b"/api/drain/x", None, token=None, host=b"x"), 200)
        for host, status in (
            (b"evil.example:9900", 421),
            (b"proxy.example", 200),
            (b"127.0.0.1:9900", 200),
            (b"localhost:9900", 200),
            (None, 200),
        ):
            self.assertEqual(self.status(own=None, token=None, host=host), status, host)
        evil = (b"origin", b"http://evil.example")
        self.assertEqual(self.status(b"POST", b"/api/drain/x", None, evil, token=None), 403)

    def test_origins(self) -> None:
        """A page of another origin may not ask, with the token or without."""
        for origin in (
            b"http://evil.example",
            b"null",
            b"http://localhost",
            b"http://localhost:9900.evil.example",
            b"http://localhost:9900/",
            b"ftp://localhost:9900",
            b"",
        ):
            for path in (b"/api/drain/x", b"/metrics"):
                fields = (b"origin", origin)
                self.assertEqual(self.status(b"POST", path, "x", fields), 403, origin)
        for origin in (b"http://localhost:9900", b"https://LOCALHOST:9900"):
            self.assertEqual(self.status(b"POST", b"/api", "x", (b"origin", origin)), 200)

    def test_sites(self) -> None:
        """What a browser says of the page that asks; a link may be followed."""
        for site, status in ((b"cross-site", 403), (b"same-site", 403), (b"same-origin", 200)):
            self.assertEqual(
                self.status(b"GET", b"/metrics", "x", (b"sec-fetch-site", site)), status
            )
        link = [
            (b"sec-fetch-site", b"cross-site"),
            (b"sec-fetch-mode", b"navigate"),
            (b"sec-fetch-dest", b"document"),
        ]
        self.assertEqual(self.status(b"GET", b"/metrics", "x", *link, token=None), 200)
        self.assertEqual(self.status(b"POST", b"/api/drain/x", "x", *link), 403)
        framed = [*link[:2], (b"sec-fetch-dest", b"iframe")]
        self.assertEqual(self.status(b"GET", b"/metrics", "x", *framed), 403)

    def test_health_under_any_name(self) -> None:
        """Load balancers call us what they like; metrics tell too much for that."""
        for path, status in ((b"/healthz", 200), (b"/readyz", 200), (b"/metrics", 421)):
            self.assertEqual(self.status(b"GET", path, host=b"pod-7", token=None), status)
        self.assertEqual(self.status(b"POST", b"/healthz", host=b"pod-7"), 421)

    @given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
    def test_any_bytes(self, host: bytes, origin: bytes, token: bytes) -> None:
        """Nothing raises, and without the token nothing opens."""
        fields = (b"origin", origin)
        self.assertNotEqual(
            self.status(b"POST", b"/api/drain/x", "::1", fields, host=host, token=token), 200
        )
