"""The command line of operators."""

import io
import json
import os
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import tables
from subproxy.cli.client import AdminClient, AdminError
from subproxy.cli.main import COMPLETIONS, main
from subproxy.config.configuration import parse_configuration
from subproxy.config.settings import TABLE
from subproxy.config.toml_text import commented_file

MEMBER = {
    "id": "cid:10/app/0",
    "state": "ready",
    "latency": 0.0012,
    "in_flight": 2,
    "concurrency": 0,
    "weight": 1.0,
    "score": 0.0036,
    "routes": ["a /.*"],
}
ROUTE = {"host": "a", "path": "/.*", "vacant": False, "waiting": 0, "subscribers": ["cid:10/app/0"]}
EXPLAINED = {
    "host": "a",
    "path": "/x",
    "reason": "a literal host beats a host pattern",
    "route": ROUTE,
    "site_rules": [
        {"rule": "networks", "site": "a/x", "each_request": True},
        {"rule": "hold", "site": "*/", "each_request": False},
    ],
    "candidates": [{"route": "a /.*", "rule": "r"}, {"route": ".* /.*", "rule": "r2"}],
    "same_host": [],
    "subscribers": [MEMBER],
}
CERTIFICATES = [
    {
        "path": "/c/blog.pem",
        "state": "good",
        "problem": "",
        "default": True,
        "names": ["a.example", "b.example", "c.example", "d.example"],
        "days_left": 61.52,
    },
    {
        "path": "/c/bad.pem",
        "state": "unusable",
        "problem": "there is no private key for it",
        "default": False,
        "names": [],
        "days_left": None,
    },
]
OVERVIEW = {
    "at": 5.0,
    "totals": {
        **{"requests": 5, "errors": 0, "answers": 5, "first_byte": 0.1},
        **{"in_flight": 2, "waiting": 0, "tunnels": 0, "connections": 1, "subscriptions": 1},
    },
    "routes": [{**ROUTE, "requests": 5, "errors": 0, "answers": 5, "first_byte": 0.1}],
    "subscribers": [{**MEMBER, "routes": 1}],
    "workers": [],
}
PAGES: dict[str, Any] = {
    "GET /api/certificates": {"certificates": CERTIFICATES},
    "GET /api/overview": OVERVIEW,
    "GET /api/log": {"path": "-", "format": "combined"},
    "GET /api/routes": {"routes": [ROUTE]},
    "GET /api/subscribers": {"subscribers": [MEMBER]},
    "GET /api/explain?url=http%3A%2F%2Fa%2Fx": EXPLAINED,
    "POST /api/weight/cid:10?weight=10": {"subscribers": ["cid:10/app/0"]},
    "DELETE /api/weight/cid:10": {"subscribers": ["cid:10/app/0"]},
    "DELETE /api/weight/cid:11": {"subscribers": []},
    "POST /api/drain/cid:10": {"subscribers": ["cid:10/app/0"]},
    "DELETE /api/drain/cid:10": {"subscribers": ["cid:10/app/0"]},
}
RELOADED = {"problems": [], "applied": ["guests.hold"], "hand_over": ["http.listen"]}


LINES = (
    rb"""192.0.2.7 - - [24/Nov/2026:08:01:00 +0000] "GET /x HTTP/1.1" 200 5 "-" "curl/8" """
    rb"""9f3a-2a "a\.example /.*" "path:/vms/a.sock" 0.001 0.002 -"""
    b"\n"
    rb"""192.0.2.7 - - [24/Nov/2026:08:01:00 +0000] "GET /y HTTP/1.1" 502 0 "-" "-" """
    rb"""9f3a-2b "[b-c]\.example /.*" "path:/vms/b.sock" - 0.002 guest-gone"""
    b"\n"
)


class Handler(BaseHTTPRequestHandler):
    """An admin listener that knows a few pages."""

    asked: ClassVar[list[str]] = []
    status = 200

    def do_GET(self) -> None:
        page = PAGES.get(f"{self.command} {self.path}")
        self.asked.append(self.path)
        body = json.dumps({"error": "no such subscriber"} if page is None else page).encode()
        if self.path == "/api/drain/web":
            body = b"<html>"
        good = self.status if page is not None else 200 if body == b"<html>" else 404
        self.send_response(good)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET

    def address_string(self) -> str:
        return "local"

    def log_message(self, *arguments: object) -> None:
        pass


class CommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = str(Path(folder.name) / "admin.sock")
        server = UnixStreamServer(self.path, Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)

    def run_command(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main([f"--admin={self.path}", *words])
        return status, out.getvalue(), err.getvalue()

    def test_routes(self) -> None:
        """A table for people."""
        status, out, _ = self.run_command("routes")
        self.assertEqual(status, 0)
        self.assertEqual(out.splitlines()[1].split(), ["a", "/.*", "1", "0"])

    def test_json(self) -> None:
        """What the proxy said, for programs."""
        out = self.run_command("--json", "subscribers")[1]
        self.assertEqual(json.loads(out), {"subscribers": [MEMBER]})

    def test_certificates(self) -> None:
        """What needs care comes first."""
        lines = self.run_command("certificates")[1].splitlines()
        self.assertIn("unusable", lines[1])
        self.assertIn("there is no private key for it", lines[1])
        self.assertIn("a.example, b.example, c.example, ...", lines[2])
        self.assertIn("61.5", lines[2])
        self.assertIn("good, default", lines[2])
        self.assertEqual(tables.certificates({"certificates": []}), "no certificates")

    def test_explain(self) -> None:
        """The winner, the reason, the losers and the candidates."""
        out = self.run_command("explain", "http://a/x")[1]
        for words in ("goes to a /.*", "a literal host beats", "2. .* /.*: loses", "cid:10/app/0"):
            self.assertIn(words, out)
        self.assertIn("\n  networks: by the site a/x, asked at each request\n", out)
        self.assertIn("\n  hold: by the site */\n", out)

    def test_drain_and_undrain(self) -> None:
        """Who was drained, by name."""
        self.assertEqual(self.run_command("drain", "cid:10")[1], "drained cid:10/app/0\n")
        self.assertEqual(self.run_command("undrain", "cid:10")[1], "undrained cid:10/app/0\n")

    def test_weight(self) -> None:
        """Who has it now."""
        out = self.run_command("weight", "cid:10", "10")[1]
        self.assertEqual(out, "weight 10: cid:10/app/0\n")
        out = self.run_command("weight", "cid:10")[1]
        self.assertEqual(out, "weight as it asks for: cid:10/app/0\n")
        out = self.run_command("weight", "cid:11")[1]
        self.assertEqual(out, "weight as it asks for: cid:11, when it comes back\n")

    def test_explain_who_fails(self) -> None:
        """For how long it gets nothing, or how often it has failed."""
        failing = [{**MEMBER, "failures": 2}, {**MEMBER, "id": "x", "failures": 0, "out_for": 12.4}]
        text = tables.explanation({**EXPLAINED, "subscribers": failing})
        self.assertIn("cid:10/app/0 has failed 2 times in a row", text)
        self.assertIn("x gets nothing, since it has failed: it comes back in 12 s", text)

    def test_no(self) -> None:
        """A no of the proxy is one line, and status 1."""
        status, out, err = self.run_command("drain", "cid:99")
        self.assertEqual((status, out, err), (1, "", "subproxy: no such subscriber\n"))
        self.assertIn("no admin listener", self.run_command("drain", "web")[2])

    def test_somebody_else_is_there(self) -> None:
        """What answers in JSON, and is no proxy, or one of another version."""
        for page, status in ((["x"], 200), ("x", 404), ({}, 200), ({"routes": [{}]}, 200)):
            self.patch(Handler, "status", status)
            with mock.patch.dict(PAGES, {"GET /api/routes": page}):
                found, out, err = self.run_command("routes")
            self.assertEqual((found, out, err.count("\n")), (1, "", 1), err)
            self.assertIn(self.path, err)

    def test_no_address(self) -> None:
        """A port that is none, or a name."""
        for where in ("localhost:99999", "a..b:80", f"{'a' * 70}.example:80"):
            err = io.StringIO()
            with redirect_stderr(err):
                status = main([f"--admin={where}", "routes"])
            self.assertEqual((status, err.getvalue().count("\n")), (1, 1))
            self.assertIn(f"no answer from the proxy at {where}: ", err.getvalue())

    def test_who_reads_has_enough(self) -> None:
        """As behind head: that is no error, and says nothing."""
        path = Path(self.mktemp())
        path.write_bytes(LINES * 5000)
        command = [sys.executable, "-m", "subproxy", f"--admin={self.path}"]
        for words in (["logs", "-n100000", str(path)], ["routes"]):
            reading, writing = os.pipe()
            os.close(reading)
            with subprocess.Popen(
                [*command, *words], stdout=writing, stderr=subprocess.PIPE, text=True
            ) as process:
                os.close(writing)
                _, told = process.communicate(timeout=60)
            self.assertEqual((process.returncode, told), (0, ""), words)

    def test_nobody_there(self) -> None:
        """A proxy that does not run is told."""
        err = io.StringIO()
        with redirect_stderr(err):
            status = main(["--admin=/nonexistent/admin.sock", "routes"])
        self.assertEqual(status, 1)
        self.assertIn("no answer from the proxy at /nonexistent/admin.sock", err.getvalue())
        self.assertIn(
            "No such file or directory; is the proxy running, with --admin", err.getvalue()
        )

    def test_top(self) -> None:
        """The same table again and again."""
        out = self.run_command("top", "--interval=0.01", "--count=2")[1]
        self.assertEqual(out.count("SUBSCRIBER"), 2)
        self.assertEqual(out.count("requests/s"), 2)
        out = self.run_command("top", "--routes", "--sort=rate", "--count=1")[1]
        self.assertIn("a /.*", out)
        for interval in ("-1", "nan", "x"):
            said = io.StringIO()
            with redirect_stderr(said), self.assertRaises(SystemExit):
                main(["top", f"--interval={interval}"])
            self.assertIn(f"--interval: {interval} is not from 0 to 86400", said.getvalue())
        told = self.run_command("top", "--sort=x", "--count=1")[2]
        self.assertIn("--sort=x: there are subscriber, state", told)
        out = self.run_command("--json", "top", "--interval=0", "--count=2")[1]
        self.assertEqual([json.loads(line) for line in out.splitlines()], [OVERVIEW] * 2)

    def test_logs(self) -> None:
        """Of a file, filtered; where the proxy has none that can be read, it is said."""
        path = Path(self.mktemp())
        path.write_bytes(LINES)
        self.assertEqual(self.run_command("logs", str(path))[1], LINES.decode())
        for words, shown in (
            (["--status=5xx"], [1]),
            (["--status=200,404"], [0]),
            (["--host=a.example"], [0]),
            (["--host=b.example"], [1]),
            (["--guest=b.sock"], [1]),
            (["--lines=1"], [1]),
            (["--lines=0"], []),
        ):
            out = self.run_command("logs", *words, str(path))[1]
            self.assertEqual(out, "".join(LINES.decode().splitlines(True)[at] for at in shown))
        out = self.run_command("--json", "logs", "--status=200", str(path))[1]
        self.assertEqual(json.loads(out)["target"], "/x")
        for words, problem in (
            (["logs"], "writes its access log to standard output"),
            (["logs", "--status=9xx", str(path)], "'9xx' is no status"),
            (["logs", "/nonexistent"], "/nonexistent: No such file or directory"),
        ):
            status, _, err = self.run_command(*words)
            self.assertEqual(status, 1)
            self.assertIn(problem, err)
        with mock.patch("sys.stdin", io.StringIO(LINES.decode() + "nonsense\n")):
            self.assertEqual(self.run_command("logs", "-", "--status=502")[1].count("\n"), 1)

    def test_json_of_all(self) -> None:
        """Commands that ask no proxy have it, too."""
        path = self.mktemp()
        Path(path).write_text("[guests]\nhold = 4\n")
        found = json.loads(self.run_command("--json", "check", path)[1])
        self.assertEqual((found["good"], found["problems"]), (True, []))
        Path(path).write_text("[guests]\nhodl = 4\n")
        status, out, err = self.run_command("--json", "check", path)
        self.assertEqual((status, err, json.loads(out)["good"]), (1, "", False))
        self.assertIn("unknown key 'hodl'", json.loads(out)["problems"][0])
        self.assertEqual(
            json.loads(self.run_command("--json", "init")[1])["text"], commented_file()
        )
        fresh = self.mktemp()
        out = self.run_command("--json", "init", fresh)[1]
        self.assertEqual(json.loads(out), {"written": fresh})
        for shell in COMPLETIONS:
            script = json.loads(self.run_command("--json", "completion", shell)[1])["script"]
            self.assertEqual(self.run_command("completion", shell)[1], script)

    def test_check(self) -> None:
        """A policy is good, or each problem has its line."""
        good = self.mktemp()
        Path(good).write_text('[[guest]]\nidentity = "cid:1"\nhosts = ["a"]\n')
        self.assertEqual(self.run_command("check", good)[:2], (0, f"{good}: good, 1 guest\n"))
        Path(good).write_text("[[guest]]\n\nroutes = 0\n")
        status, _, err = self.run_command("check", good)
        self.assertEqual(status, 1)
        self.assertIn(f"{good}:3: routes", err)
        self.assertEqual(self.run_command("check", "/nonexistent")[0], 1)

    def test_reload(self) -> None:
        """What has changed, what waits; or each problem on its line."""
        self.addCleanup(PAGES.pop, "POST /api/reload")
        PAGES["POST /api/reload"] = RELOADED
        self.assertEqual(
            self.run_command("reload"),
            (0, "in force: guests.hold\nneeds a hand-over (SIGUSR2): http.listen\n", ""),
        )
        PAGES["POST /api/reload"] = {**RELOADED, "applied": [], "hand_over": []}
        self.assertEqual(self.run_command("reload")[1], "nothing has changed\n")
        error = AdminError("f:1:1: a\nb", "f:2:1: c")
        self.patch(AdminClient, "ask", mock.Mock(side_effect=error))
        self.assertEqual(
            self.run_command("reload"),
            (1, "", "subproxy: f:1:1: a\\x0ab\nsubproxy: f:2:1: c\n"),
        )

    def test_check_of_a_configuration(self) -> None:
        """Good, or each problem has its line and column."""
        path = self.mktemp()
        Path(path).write_text("[guests]\nhold = 4\n[[guest]]\nidentity='cid:1'\nhosts='a'\n")
        good = (0, f"{path}: good, 1 setting, 1 guest\n", "")
        self.assertEqual(self.run_command("check", path), good)
        Path(path).write_text("[guests]\nhold = 4\n")
        good = (0, f"{path}: good, 1 setting, no policy\n", "")
        self.assertEqual(self.run_command("check", path), good)
        for text, problems in (
            ("[guests]\n  hold = x\n", ["2:10: Invalid value"]),
            ("[gests]\n", ["1:1: unknown table 'gest"]),
            ("[guests]\n  hodl = 1\nbulk='a'", ["2:3: unknown key 'hodl'", "3:1: bulk = 'a': "]),
            ("[http]\nproxy-protocol='unix'\n", ["2:1: --proxy-protocol: no listener"]),
            ("[guests]\npolicy='x'\n[[guest]]\nidentity='a'\nhosts='a'", ["3:1: [[guest]] and"]),
        ):
            Path(path).write_text(text)
            status, out, err = self.run_command("check", path)
            self.assertEqual((status, out), (1, ""))
            for line, problem in zip(err.splitlines(), problems, strict=True):
                self.assertTrue(line.startswith(f"{path}:{problem}"), line)
        Path(path).write_bytes(b"\xff")
        self.assertIn(f"{path}:1:1: not UTF-8", self.run_command("check", path)[2])

    def test_check_of_a_policy_that_is_named(self) -> None:
        """It is read, too."""
        path, policy = self.mktemp(), Path(self.mktemp())
        Path(path).write_text(f"[guests]\npolicy = '{policy}'\n")
        self.assertIn("No such file", self.run_command("check", path)[2])
        policy.write_text("[[guest]]\nidentity = 1\nhosts = 'a'")
        self.assertIn(f"{policy}:2: identity must", self.run_command("check", path)[2])
        policy.write_text("[[guest]]\nidentity = 'cid:1'\nhosts = 'a'")
        self.assertEqual(self.run_command("check", path)[0], 0)

    def test_check_finds_shadowed_entries(self) -> None:
        """They are told, and are no error."""
        path = self.mktemp()
        entries = ("path:/vms/*", "path:/vms/a-*", "cid:1", "path:/vms/b", "path:vms/b")
        Path(path).write_text(
            "".join(
                f"[[guest]]\nidentity = '{each}'\nhosts = 'h{number}'\n"
                for number, each in enumerate(entries)
            )
        )
        status, out, err = self.run_command("check", path)
        self.assertEqual((status, out), (0, f"{path}: good, 5 guests\n"))
        self.assertEqual(
            err,
            f"{path}:5: warning: nobody belongs here by 'path:/vms/a-*': "
            "'path:/vms/*' at line 2 comes first\n"
            f"{path}:14: warning: nobody is called 'path:vms/b': the path is a whole one, "
            "which begins with a slash\n",
        )

    def test_check_print(self) -> None:
        """Every setting, and where it comes from; what is printed is such a file again."""
        path = self.mktemp()
        text = "[guests]\nhold = 4\nvsock-mode = '600'\n[http]\nlisten = [1, 'tcp:2']\n"
        Path(path).write_text(text + "[[guest]]\nidentity='cid:1'\nhosts='a'\n")
        status, out, err = self.run_command("check", "--print", path)
        self.assertEqual((status, err), (0, ""))
        for line in (
            rf"hold = 4 +# {path}:2",
            rf'vsock-mode = "600" +# {path}:3',
            rf'listen = \["1", "tcp:2"\] +# {path}:5',
            r"queue = 100 +# default",
            r"# admin-?.*|# token = none +# default",
            rf"# policy: 1 guest, of {path}:6",
        ):
            self.assertRegex(out, rf"(?m)^{line}$")
        values = parse_configuration(out).values
        self.assertEqual(values["hold"], 4)
        rows = [each for each in TABLE if each.default is not None]
        self.assertLess(len(rows), len(values))
        for each in rows:
            if each.name not in ("hold", "vsock_mode"):
                self.assertEqual(values[each.option], each.parse(str(each.default)))
        self.assertEqual(values["vsock-mode"], 0o600)
        Path(path).write_text("")
        self.assertIn("no policy: any guest", self.run_command("check", "--print", path)[1])

    def test_init(self) -> None:
        """A file that is good, and one that is there is not lost."""
        path = self.mktemp()
        self.assertEqual(self.run_command("init", path)[0], 0)
        self.assertEqual(
            self.run_command("check", path)[1], f"{path}: good, 0 settings, no policy\n"
        )
        Path(path).write_text("mine")
        self.assertEqual(
            self.run_command("init", path),
            (1, "", f"subproxy: {path}: it is there already, and stays as it is\n"),
        )
        self.assertEqual(Path(path).read_text(), "mine")
        self.assertEqual(self.run_command("init"), (0, commented_file(), ""))

    def test_wrong_command_line(self) -> None:
        """It is argparse's to complain, with status 2."""
        with redirect_stderr(io.StringIO()):
            error = self.assertRaises(SystemExit, main, ["--nonsense"])
        self.assertEqual(error.code, 2)


class TableTests(SynchronousTestCase):
    def test_empty(self) -> None:
        """An empty table says so in words."""
        self.assertIn("no guest has registered", tables.routes({"routes": []}))
        self.assertEqual(tables.subscribers({"subscribers": []}), "no subscribers")

    def test_vacant(self) -> None:
        """A route whose subscribers are gone."""
        out = tables.routes({"routes": [{**ROUTE, "vacant": True}]})
        self.assertIn("vacant", out)

    def test_explain_nothing(self) -> None:
        """No route: why, and what is near."""
        said = tables.explanation(
            {**EXPLAINED, "route": None, "reason": "no route: x", "same_host": ["a /y"]}
        )
        self.assertEqual(said.splitlines()[3:], ["no route: x", "  same host: a /y"])

    def test_explain_vacant(self) -> None:
        """A route without subscriber."""
        said = tables.explanation({**EXPLAINED, "subscribers": []})
        self.assertTrue(said.endswith("it has no subscriber now"))
