"""Native C{AF_VSOCK}: the proxy and its subscribers inside one machine, on both reactors.

No C{AF_VSOCK} socket is opened on the machine that runs the tests; vm_native.py is what runs
in the guest, in one boot. Each of its checks is one line on the console.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.qemu import ROOT, Machine, build_image, need_tools, scratch

HERE = Path("tests/integration")
LIMIT = 400.0
"""Seconds for all of it."""


def requirements() -> list[str]:
    """What the proxy needs in the guest, from pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    return re.findall(r'"([^"]+)"', block[1])


INSIDE = ("vm_native.py", "guest_native_checks.py", "guest_native_bench.py")
"""Files of this folder that run inside the machine."""


class NativeTests(SynchronousTestCase):
    def test_proxy_and_subscribers_over_loopback(self) -> None:
        need_tools()
        reactors = ["epoll"]
        if find_spec("subproxy.reactor._ring") is not None:
            reactors.append("io_uring")
        with scratch() as folder:
            wanted = folder / "requirements.txt"
            wanted.write_text("\n".join(requirements()))
            words = ["/usr/bin/python3", "/app/vm_native.py", *reactors]
            image = build_image(
                folder,
                "native",
                f"{HERE}/vm_app.py:App",
                "--with-proxy",
                f"--requirements={wanted}",
                *(f"--set=run={word}" for word in words),
                *(f"--file=app/{name}={HERE}/{name}" for name in INSIDE),
            )
            machine = Machine(folder, "native", image, 3, "", 768)
            try:
                machine.start()
                ended = machine.wait_for(r"the application ended with status (\d+)", LIMIT)
                text = machine.console.text()
                failed = re.findall(r"^FAILED .*$", text, re.MULTILINE)
                held = re.findall(r"^ok (\w+) (\w+)", text, re.MULTILINE)
                self.assertEqual((failed, ended[1]), ([], "0"), machine.console.tail())
                self.assertLessEqual({*reactors, "init"}, {about for about, _ in held})
                self.assertEqual(machine.console.wait(20), 0)
            finally:
                machine.keep_logs()
                machine.kill()
