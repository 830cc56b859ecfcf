"""Behind another proxy that is trusted: what an application is told, and what the log says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.integration.harness import World, wait_until


class BehindProxyTests(SynchronousTestCase):
    def told(self, *options: str, twistd: tuple[str, ...] = ()) -> None:
        world = World()
        self.addCleanup(world.close)
        log = world.folder / "access.log"
        world.start_proxy("--trust=127.0.0.0/8", f"--access-log={log}", *options, twistd=twistd)
        world.start_guest("tests.integration.apps:Told", "--host=blog\\.example")
        way = {
            "client": "203.0.113.9",
            "scheme": "https",
            "x-forwarded-for": "203.0.113.9, 127.0.0.2, 127.0.0.1",
            "x-forwarded-proto": "https",
            "x-forwarded-host": "front.example",
            "forwarded": 'for=203.0.113.9;host="front.example";proto=https, '
            "for=127.0.0.2, for=127.0.0.1",
        }
        for sent in (
            {
                "X-Forwarded-For": "6.6.6.6, 203.0.113.9:1234, 127.0.0.2",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "front.example",
                "Forwarded": "for=6.6.6.6;proto=http;host=evil",
            },
            {
                "Forwarded": "for=6.6.6.6;proto=http;host=evil, "
                'for="203.0.113.9:1234";proto=https;host=front.example, for=127.0.0.2'
            },
        ):
            for method, body in (("GET", None), ("POST", b"x")):
                status, _, answer = world.ask("/", method=method, body=body, headers=sent)
                self.assertEqual(status, 200)
                lines = [line.partition(": ") for line in answer.decode().splitlines()]
                found = {name.lower(): value for name, _, value in lines}
                self.assertEqual({name: found.get(name) for name in way}, way)
                self.assertEqual(found["host"], "blog.example")
        lines = wait_until(
            lambda: len(found := log.read_text().splitlines()) == 4 and found, "four lines"
        )
        self.assertEqual({line.split()[0] for line in lines}, {"203.0.113.9"})
        status, fields, body = world.ask("/reset")
        self.assertEqual((status, fields["content-length"], body), (205, "0", b""))

    def test_on_each_reactor(self) -> None:
        for reactor in ("io_uring", "compiled_epoll", "epoll"):
            with self.subTest(reactor=reactor):
                self.told(twistd=(f"--reactor={reactor}",))
                if unavailable() is None:
                    self.told("--no-fastpath", twistd=(f"--reactor={reactor}",))
