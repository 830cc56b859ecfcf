"""What a guest's init decides before it does anything: the command and the environment."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.image.arguments import ArgumentError
from guest.image.init import command, environment, number

PYTHON = "/usr/bin/python3.11"


class CommandTests(SynchronousTestCase):
    def test_the_guest_service(self) -> None:
        words = command(
            {"app": ["hello:Hello"], "host": [r"a\.b"], "path": ["/1", "/2"], "arg": ["-v"]}, PYTHON
        )
        self.assertEqual(
            words,
            [PYTHON, "-S", "-B", "-m", "guest", "--proxy=vsock:2:12345"]
            + [r"--host=a\.b", "--path=/1", r"--host=a\.b", "--path=/2", "-v", "hello:Hello"],
        )

    def test_the_minimal_service_needs_no_application(self) -> None:
        words = command({"service": ["minimal"], "proxy": ["vsock:2:7"]}, PYTHON)
        self.assertEqual(
            words[3:],
            ["/opt/python/guest/minimal.py", "--proxy=vsock:2:7", "--host=.*", "--path=/.*"],
        )

    def test_applications_as_they_are(self) -> None:
        for service in ("asgi", "wsgi"):
            words = command({"service": [service], "app": ["shop:app"]}, PYTHON)
            self.assertEqual(
                words[3:],
                ["-m", "guest", f"--interface={service}", "--proxy=vsock:2:12345"]
                + ["--host=.*", "--path=/.*", "shop:app"],
            )
            self.assertRaises(ArgumentError, command, {"service": [service]}, PYTHON)

    def test_another_program(self) -> None:
        self.assertEqual(command({"run": ["/bin/x", "a b"]}, PYTHON), ["/bin/x", "a b"])

    def test_refusals(self) -> None:
        for settings in ({}, {"app": ["a:B"], "service": ["uwsgi"]}):
            with self.assertRaises(ArgumentError):
                command(settings, PYTHON)


class EnvironmentTests(SynchronousTestCase):
    def test_adds_and_replaces(self) -> None:
        env = environment({"env": ["A=b=c", "HOME=/x"]})
        self.assertEqual((env["A"], env["HOME"]), ("b=c", "/x"))

    def test_refuses_what_has_no_name(self) -> None:
        for word in ("A", "=b", ""):
            with self.assertRaises(ArgumentError):
                environment({"env": [word]})


class NumberTests(SynchronousTestCase):
    def test_seconds(self) -> None:
        self.assertEqual(number({"grace": ["2.5"]}, "grace", 30), 2.5)
        self.assertEqual(number({}, "grace", 30), 30)
        for text in ("-1", "x", "nan", "inf", ""):
            with self.assertRaises(ArgumentError, msg=text):
                number({"grace": [text]}, "grace", 30)
