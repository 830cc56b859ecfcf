"""What setup.py does beside what setuptools do."""

import os
from pathlib import Path
from typing import Any

from setuptools import Distribution, Extension
from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT


def setup_names() -> dict[str, Any]:
    """What setup.py defines, without the call of C{setup}."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8").partition("\nsetup(")[0]
    names: dict[str, Any] = {}
    exec(compile(text, "setup.py", "exec"), names)
    return names


class CompilingTests(SynchronousTestCase):
    def test_an_editable_install_uses_all_cores(self) -> None:
        """It begins the command anew, which keeps only the options of the command's name."""
        command = setup_names()["BuildExtensions"]
        distribution = Distribution(
            {"cmdclass": {"build_ext": command}, "options": {"build_ext": {"parallel": 3}}}
        )
        first = distribution.get_command_obj("build_ext")
        first.ensure_finalized()
        self.assertEqual(first.parallel, 3)
        again = distribution.reinitialize_command("build_ext")
        self.assertEqual(again.parallel, 3)

    def test_debug_information_is_made_when_asked_for(self) -> None:
        for flags, expected in (("", ["-g0"]), ("-O1 -g", []), ("-O1", ["-g0"])):
            self.patch(os, "environ", {**os.environ, "CFLAGS": flags})
            self.assertEqual(setup_names()["DEBUG_ARGS"], expected)

    def test_the_longest_come_first(self) -> None:
        names = setup_names()
        folder = Path(self.mktemp())
        folder.mkdir()
        command = names["BuildExtensions"](Distribution())
        command.extensions = []
        for name, size in (("short", 10), ("long", 1000), ("middle", 100)):
            source = folder / f"{name}.c"
            source.write_bytes(b" " * size)
            command.extensions.append(Extension(name, [str(source)]))
        command._begin_with_the_longest()
        self.assertEqual([each.name for each in command.extensions], ["long", "middle", "short"])


class BuildCacheTests(SynchronousTestCase):
    def test_modules_of_the_same_name(self) -> None:
        """Each package gets its own out of the cache."""
        names = setup_names()
        folder = Path(self.mktemp())

        def build(place: str) -> Any:
            command = names["BuildExtensions"](Distribution())
            command.build_lib = str(folder / place)
            command.extensions = [Extension(name, []) for name in ("one._same", "two._same")]
            return command

        built = build("built")
        for extension in built.extensions:
            path = Path(built.get_ext_fullpath(extension.name))
            path.parent.mkdir(parents=True)
            path.write_text(extension.name)
        built._keep(folder / "cache" / "hash")
        taken = build("taken")
        self.assertTrue(taken._take(folder / "cache" / "hash"))
        for extension in taken.extensions:
            self.assertEqual(
                Path(taken.get_ext_fullpath(extension.name)).read_text(), extension.name
            )
