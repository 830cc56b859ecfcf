"""Names and passwords, with a real proxy, curl and real hashes; nothing waits for a check."""

from __future__ import annotations

import base64
import threading
import time

import bcrypt
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import World


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


class BasicAuthTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.close)
        self.users = self.world.folder / "users"
        self.write("right", 8)
        self.file = self.world.folder / "subproxy.toml"
        self.file.write_text(
            f'[[site]]\nhosts = "blog.example"\nusers = "{self.users}"\n'
            '[[site]]\nhosts = "blog.example"\npaths = "/open"\naccess = "public"\n'
        )
        self.proxy = self.world.start_proxy(f"--config={self.file}")
        self.world.start_guest("tests.integration.cookie_app:Shown", r"--host=.*")

    def write(self, password: str, rounds: int) -> None:
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()
        self.users.write_text(f"alice:{hashed}\n")

    def test_who_is_let_in(self) -> None:
        status, fields, body = self.world.ask()
        self.assertEqual((status, fields["www-authenticate"][:5]), (401, "Basic"))
        self.assertIn(b"a password", body)
        for name, password in ("alice", "wrong"), ("bob", "right"), ("alice", "right" * 20):
            self.assertEqual(self.world.ask(headers=basic(name, password))[0], 401)
        for _ in range(2):
            status, _, body = self.world.ask(headers=basic("alice", "right"))
            self.assertEqual(status, 200)
            self.assertIn(b'["X-Forwarded-User", "alice"]', body)
            self.assertNotIn(b"uthorization", body)
        self.assertEqual(self.world.ask("/open")[0], 200)
        # A body that comes meanwhile waits.
        for size in 10, 300_000:
            status, _, _ = self.world.ask(
                method="POST", body=b"x" * size, headers=basic("alice", "right")
            )
            self.assertEqual(status, 200)

    def test_another_password(self) -> None:
        self.assertEqual(self.world.ask(headers=basic("alice", "right"))[0], 200)
        self.write("other", 5)
        self.proxy.wait_for("have changed, and are in force")
        self.assertEqual(self.world.ask(headers=basic("alice", "right"))[0], 401)
        self.assertEqual(self.world.ask(headers=basic("alice", "other"))[0], 200)

    def test_others_do_not_wait(self) -> None:
        """While passwords are checked, each for about a second, others are answered."""
        self.write("right", 13)
        self.proxy.wait_for("have changed, and are in force")
        answers: list[int] = []
        threads = [
            threading.Thread(
                target=lambda word: answers.append(self.world.ask(headers=basic("alice", word))[0]),
                args=(f"w{number}",),
            )
            for number in range(8)
        ]
        for each in threads:
            each.start()
        asked = 0
        while any(each.is_alive() for each in threads):
            self.assertEqual(self.world.ask("/open")[0], 200)
            asked += 1
            time.sleep(0.01)
        for each in threads:
            each.join()
        # Four of a client are checked, the others are told to come again.
        self.assertLessEqual({401}, set(answers))
        self.assertLessEqual(set(answers), {401, 503})
        # In the reactor's own thread, one at most would come between two checks.
        self.assertGreater(asked, len(answers) + 2)
