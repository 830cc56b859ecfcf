"""docs/howto/container.md, as a reader types it: from a Dockerfile to an answer of a machine."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.containers import need
from tests.integration.golang import go
from tests.integration.qemu import ROOT, need_tools, scratch
from tests.integration.test_vm_docs import run_readme, with_scripts
from tests.integration.test_vm_guest import free_port

PAGE = ROOT / "docs" / "howto" / "container.md"

STORAGE = """\
[storage]
driver = "vfs"
graphroot = "{folder}/store"
runroot = "{folder}/run"
"""


class ContainerPageTests(SynchronousTestCase):
    timeout = 300

    def test_the_page(self) -> None:
        need_tools()
        need("buildah")
        if os.getuid():
            self.skipTest("buildah wants root, or newuidmap")
        tool = run_readme()
        (block,) = tool.BLOCK.finditer(PAGE.read_text())
        self.assertEqual(block["test"], "tests/integration/test_vm_container_docs.py")
        with scratch() as folder:
            port = str(free_port())
            text = block["text"].replace("/tmp/vm3", f"{folder}/vm3").replace("8888", port)
            (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
            (folder / "site").mkdir()
            runner = tool.Runner(folder / "site")
            runner.environment |= {
                "PYTHONPATH": str(ROOT),
                "CONTAINERS_STORAGE_CONF": f"{folder}/storage.conf",
                "GOTOOLCHAIN": "local",
                "PATH": f"{Path(go()).parent}:{runner.environment['PATH']}",
            }
            with_scripts(runner, folder)
            try:
                steps = tool.steps(text)
                self.assertEqual(len(steps), 11)
                for command, expected in steps:
                    self.assertIsNone(runner.run(command, expected), command)
            finally:
                runner.close()
