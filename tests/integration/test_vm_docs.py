"""The commands of docs/howto/three-terminals.md, run as they stand.

Only the port and the folder are others than on the page, so that two runs don't meet.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.qemu import ROOT, need_tools, scratch
from tests.integration.test_vm_guest import free_port

PAGE = ROOT / "docs" / "howto" / "three-terminals.md"


def run_readme():  # type: ignore[no-untyped-def]
    """The module tools/run_readme.py."""
    spec = importlib.util.spec_from_file_location("run_readme", ROOT / "tools" / "run_readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def with_scripts(runner, folder: Path) -> None:  # type: ignore[no-untyped-def]
    """Make the console scripts of a checkout that is not installed."""
    if shutil.which("subproxy-mkinitramfs", path=runner.environment["PATH"]) is None:
        script = folder / "subproxy-mkinitramfs"
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m guest.image.cli "$@"\n')
        script.chmod(0o755)
        runner.environment["PATH"] += f"{os.pathsep}{folder}"


class ThreeTerminalsTests(SynchronousTestCase):
    def test_qemu_as_it_is_written(self) -> None:
        need_tools()
        tool = run_readme()
        (block,) = tool.BLOCK.finditer(PAGE.read_text())
        with scratch() as folder:
            text = (
                block["text"].replace("/tmp/vm3", f"{folder}/vm3").replace("8888", str(free_port()))
            )
            (folder / "examples").symlink_to(ROOT / "examples")
            runner = tool.Runner(folder)
            runner.environment["PYTHONPATH"] = str(ROOT)
            with_scripts(runner, folder)
            try:
                steps = tool.steps(text)
                self.assertEqual(len(steps), 6)
                for command, expected in steps:
                    self.assertIsNone(runner.run(command, expected), command)
            finally:
                runner.close()
