"""The reactors on the distribution's kernel: Debian 12's, 6.1, has the oldest ring that will do.

In a machine of QEMU's without KVM, where everything takes some ten times as long.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.qemu import Machine, build_image, need_tools, scratch
from tests.integration.test_vm_native import requirements

HERE = Path("tests/integration")
MODULES = (
    "test_reactor_rules",
    "test_reactor_stream_rules",
    "test_reactor_relay",
    "test_reactor_generic",
    "test_reactor_epoll_rules",
)
LIMIT = 400.0
"""Seconds for all of it."""


class OldestKernelTests(SynchronousTestCase):
    def test_rules(self) -> None:
        need_tools()
        if find_spec("subproxy.reactor._ring") is None:
            raise SkipTest("the extension is not built")
        with scratch() as folder:
            wanted = folder / "requirements.txt"
            wanted.write_text("\n".join(requirements()))
            words = ["/usr/bin/python3", "/app/vm_reactor.py"]
            words += [f"tests.integration.{name}" for name in MODULES]
            files = ["vm_reactor.py"]
            tests = ["__init__.py", "reactor_harness.py", *(f"{name}.py" for name in MODULES)]
            image = build_image(
                folder,
                "reactor",
                f"{HERE}/vm_app.py:App",
                "--with-proxy",
                "--keep=tests",
                "--keep=twisted",
                "--keep=development",
                f"--requirements={wanted}",
                *(f"--set=run={word}" for word in words),
                *(f"--file=app/{name}={HERE}/{name}" for name in files),
                f"--file=app/tests/__init__.py={HERE}/__init__.py",
                *(f"--file=app/tests/integration/{name}={HERE}/{name}" for name in tests),
            )
            machine = Machine(folder, "reactor", image, 3, "", 768)
            try:
                machine.start()
                ended = machine.wait_for(r"the application ended with status (\d+)", LIMIT)
                text = machine.console.text()
                self.assertEqual(ended[1], "0", machine.console.tail())
                self.assertIn("skipped 0", text)
            finally:
                machine.keep_logs()
                machine.kill()
