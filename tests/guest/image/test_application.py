"""What APP names."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image.application import ApplicationError, find

APP = "class App(SubscriberProtocol): ..."
ONE = "import guest\nclass Hello(guest.SubscriberProtocol):\n    pass\nclass Other:\n    pass\n"


class FindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        (self.folder / "package" / "__pycache__").mkdir(parents=True)
        (self.folder / "hello.py").write_text(ONE)
        (self.folder / "two.py").write_text(ONE.replace("Other", "More(SubscriberProtocol)"))
        for name in ("__init__.py", "web.py", "page.html", "__pycache__/x.pyc", ".hidden"):
            (self.folder / "package" / name).write_text("")
        (self.folder / "package" / "web.py").write_text(APP)

    def test_a_file_with_one_class(self) -> None:
        found = find(f"{self.folder}/hello.py")
        self.assertEqual((found.spec, found.module), ("hello:Hello", "hello"))
        self.assertEqual([str(p.relative_to(found.root)) for p in found.files], ["hello.py"])

    def test_a_file_with_several_classes_must_say_which(self) -> None:
        with self.assertRaisesRegex(ApplicationError, "several: Hello, More"):
            find(f"{self.folder}/two.py")
        self.assertEqual(find(f"{self.folder}/two.py:More").spec, "two:More")

    def test_a_folder(self) -> None:
        found = find(f"{self.folder}/package:web:App")
        self.assertEqual(found.spec, "web:App")
        names = [str(p.relative_to(found.root)) for p in found.files]
        self.assertEqual(names, ["__init__.py", "page.html", "web.py"])

    def test_a_module_and_a_package_as_python_finds_them(self) -> None:
        found = find("hello:Hello", self.folder)
        self.assertEqual([p.name for p in found.files], ["hello.py"])
        found = find("package.web:App", self.folder)
        names = [str(p.relative_to(found.root)) for p in found.files]
        self.assertEqual(names, [f"package/{n}" for n in ("__init__.py", "page.html", "web.py")])

    def test_wsgi_and_asgi_applications(self) -> None:
        (self.folder / "one.py").write_text("application = make()\n")
        (self.folder / "both.py").write_text("app = application = make()\ndef make(): ...\n")
        (self.folder / "factory.py").write_text("class Plain: ...\nserver = Plain()\n")
        for app, spec in (
            (f"{self.folder}/one.py", "one:application"),
            (f"{self.folder}/both.py:app", "both:app"),
            (f"{self.folder}/both.py:make()", "both:make()"),
            (f"{self.folder}/factory.py:Plain", "factory:Plain"),
            (f"{self.folder}:factory:server.wsgi", "factory:server.wsgi"),
            ("factory:server.wsgi", "factory:server.wsgi"),
            ("package.web:App()", "package.web:App()"),
        ):
            self.assertEqual(find(app, self.folder, any_object=True).spec, spec)
        for app, reason in (
            (f"{self.folder}/both.py", "which application: .*app and application"),
            (f"{self.folder}/factory.py", "neither app nor application is there"),
            (f"{self.folder}/one.py:aplication", "did you mean application"),
            ("one:none()", "has no none"),
        ):
            with self.assertRaisesRegex(ApplicationError, reason):
                find(app, self.folder, any_object=True)

    def test_refusals(self) -> None:
        (self.folder / "broken.py").write_text("class (")
        for app in (
            "hello",
            "a b:C",
            "no_such_module_anywhere:App",
            f"{self.folder}/none.py",
            f"{self.folder}/broken.py",
            f"{self.folder}/package",
        ):
            with self.assertRaises(ApplicationError, msg=app):
                find(app, self.folder)

    def test_a_class_that_is_not_there(self) -> None:
        """It is told however the application is named, before it is looked for in a machine."""
        for app, reason in (
            (f"{self.folder}/hello.py:Hallo", "hello.py has no Hallo; did you mean Hello?"),
            ("hello:Nobody", "hello.py has no Nobody$"),
            (f"{self.folder}/package:web:Ap", "web.py has no Ap; did you mean App?"),
            ("package.web:Ap", "web.py has no Ap; did you mean App?"),
            ("package:App", "__init__.py has no App"),
            ("package.wed:App", "no module package.wed in"),
            (f"{self.folder}/package:wed:App", "no module wed in"),
            ("hello:Other", "Other is no SubscriberProtocol"),
        ):
            with self.assertRaisesRegex(ApplicationError, reason, msg=app):
                find(app, self.folder)

    def test_what_a_module_may_define(self) -> None:
        """However it does that: what can't be told is left to Python."""
        path = self.folder / "odd.py"
        for source in (
            "App = make()",
            "App: type = make()",
            "x, (App, y) = make()",
            "from elsewhere import App",
            "from elsewhere import Any as App",
            "from elsewhere import *",
            "import App",
            "try:\n  import x\nexcept ImportError:\n  class App(x): ...",
            "if x:\n  def App(): ...",
            "def __getattr__(name): ...",
            "with x as App: pass",
            "for App in x: pass",
            "@made\nclass App: ...",
            "class App(metaclass=x): ...",
        ):
            path.write_text(source)
            self.assertEqual(find("odd:App", self.folder).spec, "odd:App")
        for source in ("def f():\n  App = 1", "class A:\n  App = 1", "print(App)"):
            path.write_text(source)
            with self.assertRaisesRegex(ApplicationError, "odd.py has no App"):
                find("odd:App", self.folder)
