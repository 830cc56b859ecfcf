"""A service that says who is let in: a Flask application on Werkzeug's server, and a real proxy."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import flask
from twisted.trial.unittest import SynchronousTestCase
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.integration.harness import World


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *args: Any) -> None:
        pass


class Service:
    """Knows who has which cookie."""

    def __init__(self) -> None:
        application = flask.Flask("auth")
        self.asked: Counter[str] = Counter()
        self.last: dict[str, str] = {}
        self.stuck = threading.Event()
        application.add_url_rule("/auth", view_func=self.auth)
        self.server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/auth"

    def auth(self) -> Any:
        self.last = dict(flask.request.headers)
        self.asked[flask.request.headers["X-Forwarded-Uri"]] += 1
        who = flask.request.cookies.get("session", "")
        if who == "stuck":
            self.stuck.wait(30)
        if who == "broken":
            return flask.make_response("no", 500)
        if who == "banned":
            return flask.make_response("not you", 403, {"X-Why": "banned"})
        if not who:
            found = flask.redirect("/oauth2/start?rd=" + flask.request.headers["X-Original-URL"])
            found.set_cookie("csrf", "1")
            return found
        return flask.make_response("", 202, {"X-User": who, "X-Secret": "inside"})

    def close(self) -> None:
        self.stuck.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class ForwardAuthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service()
        self.addCleanup(self.service.close)
        self.world = World()
        self.addCleanup(self.world.close)
        file = self.world.folder / "subproxy.toml"
        file.write_text(
            f'[[site]]\nhosts = "blog.example"\nauth = "{self.service.url}"\n'
            'auth-headers = ["X-User"]\nauth-timeout = 2\n'
            '[[site]]\nhosts = "blog.example"\npaths = "/oauth2"\naccess = "public"\n'
            f'[[site]]\nhosts = "blog.example"\npaths = "/kept"\nauth = "{self.service.url}"\n'
            "auth-cache = 600\n"
        )
        self.proxy = self.world.start_proxy(f"--config={file}")
        self.world.start_guest("tests.integration.cookie_app:Shown", r"--host=.*")

    def ask(self, path: str, session: str = "", **more: Any) -> tuple[int, dict[str, str], bytes]:
        fields = {"Cookie": f"session={session}"} if session else {}
        return self.world.ask(path, headers={**fields, **more.pop("headers", {})}, **more)

    def test_who_is_let_in(self) -> None:
        status, fields, _ = self.ask("/page?x=1")
        self.assertEqual(status, 302)
        expected = "/oauth2/start?rd=http://blog.example/page?x=1"
        self.assertEqual((fields["location"], fields["set-cookie"][:6]), (expected, "csrf=1"))
        self.assertEqual(self.ask(fields["location"])[0], 200)
        forged = {"X-User": "root", "x_user": "root", "X-Forwarded-Method": "GET"}
        for body in b"", b"x" * 10, b"x" * 300_000:
            status, _, seen = self.ask(
                "/page?x=1", "alice", method="POST", body=body, headers=forged
            )
            self.assertEqual(status, 200)
            self.assertIn(b'["X-User", "alice"]', seen)
            self.assertNotIn(b"root", seen)
            self.assertNotIn(b"inside", seen)
            self.assertEqual(self.service.last["X-Forwarded-Method"], "POST")
            self.assertEqual(self.service.last["X-Forwarded-Uri"], "/page?x=1")
            self.assertEqual(self.service.last["X-Forwarded-For"], "127.0.0.1")
            self.assertNotIn("Content-Type", self.service.last)
        status, fields, seen = self.ask("/", "banned")
        self.assertEqual((status, fields["x-why"], seen), (403, "banned", b"not you"))

    def test_it_does_not_say(self) -> None:
        """503, and others are served while it thinks."""
        status, fields, _ = self.ask("/", "broken")
        self.assertEqual((status, fields["retry-after"]), (503, "1"))
        self.proxy.wait_for("does not say who is let in: status 500")
        slow: list[int] = []
        thread = threading.Thread(target=lambda: slow.append(self.ask("/", "stuck")[0]))
        thread.start()
        self.assertEqual(self.ask("/", "alice")[0], 200)
        thread.join()
        self.assertEqual(slow, [503])
        self.proxy.wait_for("no answer within 2 seconds")
        self.service.close()
        self.service.close = lambda: None  # type: ignore[method-assign]
        self.assertEqual(self.ask("/", "alice")[0], 503)
        self.assertEqual(self.ask("/oauth2")[0], 200)

    def test_kept(self) -> None:
        for _ in range(3):
            self.assertEqual(self.ask("/kept/x", "alice")[0], 200)
            self.assertEqual(self.ask("/page", "alice")[0], 200)
            self.assertEqual(self.ask("/kept/x")[0], 302)
        self.assertEqual((self.service.asked["/kept/x"], self.service.asked["/page"]), (4, 3))
        self.assertEqual(self.ask("/kept/x", "banned")[0], 403)
