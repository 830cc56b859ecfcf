"""The command line of C{subproxy-mkinitramfs}: which options go together."""

from __future__ import annotations

import contextlib
import io
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from guest.image.options import parse


class OptionsTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for words, expected in (
            (["blog.py"], {"app": "blog.py", "command": None}),
            (["--asgi", "api:app"], {"app": "api:app", "asgi": True, "wsgi": False}),
            (["api:app", "--wsgi"], {"app": "api:app", "wsgi": True}),
            (["--container=x.tar", "--tag=1"], {"tag": "1", "command": None}),
            (["--container=x.tar", "--", "--port", "5"], {"command": ["--port", "5"]}),
            (["--root=x", "--to=unix:/y", "--", "a", "--", "b"], {"command": ["a", "--", "b"]}),
        ):
            found = parse([*words, "-o", "x.img"] if "--" not in words else ["-ox.img", *words])
            for name, value in expected.items():
                self.assertEqual(getattr(found, name), value, words)

    def test_a_date_that_is_none(self) -> None:
        """Of the environment, too; and there an empty one is none."""
        with mock.patch.dict("os.environ", SOURCE_DATE_EPOCH=""):
            self.assertEqual(parse(["blog.py", "-ox.img"]).epoch, 0)
        with mock.patch.dict("os.environ", SOURCE_DATE_EPOCH="today"):
            said = io.StringIO()
            with contextlib.redirect_stderr(said), self.assertRaises(SystemExit):
                parse(["blog.py", "-ox.img"])
            self.assertIn("--epoch: invalid int value: 'today'", said.getvalue())

    def test_what_does_not_go_together(self) -> None:
        for words, reason in (
            ("--container a --root b", "--container or --root, not both"),
            ("app.py --container a", "app.py: an application, or a program"),
            ("--container a --asgi", "--asgi is for an application"),
            ("--root a --requirements b", "--requirements is for an application"),
            ("--root a --python 3.11", "--python is for an application"),
            ("--root a --tag b", "--tag is for --container"),
            ("app.py --tag b", "--tag is for --container or --root"),
            ("app.py --to unix:/x", "--to is for --container or --root"),
            ("app.py --subproxy-guest x", "--subproxy-guest is for"),
            ("--wsgi", "which application?"),
            ("--measure", "--measure boots it: which application?"),
            ("--wsgi app.py --websocket", "--websocket is for --asgi"),
            ("--wsgi --asgi app.py", "not allowed with"),
            ("app.py -- node", "-- and a program are for --container or --root"),
        ):
            said = io.StringIO()
            with contextlib.redirect_stderr(said):
                error = self.assertRaises(SystemExit, parse, ["-ox.img", *words.split()])
            self.assertEqual(error.code, 2, words)
            self.assertIn(reason, said.getvalue())
