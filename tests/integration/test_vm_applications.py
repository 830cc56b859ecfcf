"""Applications and programs as they are, each the whole of a virtual machine that boots and serves.

A WSGI application, an ASGI application, and a container image, over real vsock.
"""

from __future__ import annotations

import os
import shutil
import stat

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.containers import Layout
from tests.integration.golang import built
from tests.integration.harness import World
from tests.integration.qemu import Image, Machine, build_image, need_tools

ASGI_LIMIT = 14_000_000
BOOT = 120.0

FLASK = """
from flask import Flask, request

app = Flask(__name__)

@app.post("/sum")
def total():
    return {"total": sum(request.json), "server": request.environ["SERVER_SOFTWARE"]}
"""

ASGI = """
import os

async def app(scope, receive, send):
    assert scope["type"] == "http"
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-type", b"text/plain")]})
    mode = f"; {os.stat('/dev/vsock').st_mode:o}".encode()
    await send({"type": "http.response.body", "body": b"hello, " + body + mode})
"""


class VmApplicationTests(SynchronousTestCase):
    timeout = 300

    def setUp(self) -> None:
        need_tools()
        self.world = World()
        self.addCleanup(self.world.close)

    def boot(self, name: str, image: Image, arguments: str = "") -> Machine:
        machine = Machine(self.world.folder, name, image, 9, arguments, 256)
        self.addCleanup(machine.keep_logs)
        self.addCleanup(machine.kill)
        self.world.start_proxy("--access-log=none", vsock=str(machine.vsock))
        machine.start()
        machine.wait_for(r"registered host=vm\\.example path=/\.\*", BOOT)
        return machine

    def power_off(self, machine: Machine) -> None:
        machine.press_power_button()
        machine.wait_for(r"the application ended with status \d+: poweroff", 30)
        self.assertEqual(machine.console.wait(60), 0)

    def test_a_wsgi_application(self) -> None:
        folder = self.world.folder
        (folder / "shop.py").write_text(FLASK)
        (folder / "requirements.txt").write_text("flask\n")
        image = build_image(
            folder,
            "wsgi",
            *("--wsgi", f"{folder}/shop.py", f"--requirements={folder}/requirements.txt"),
            r"--host=vm\.example",
        )
        machine = self.boot("wsgi", image)
        status, _, body = self.world.ask(
            "/sum", "vm.example", "POST", b"[1, 2, 39]", {"Content-Type": "application/json"}
        )
        self.assertEqual((status, b'"total":42' in body), (200, True), body)
        self.assertEqual(self.world.ask("/none", "vm.example")[0], 404)
        self.power_off(machine)

    def test_an_asgi_application(self) -> None:
        folder = self.world.folder
        (folder / "api.py").write_text(ASGI)
        image = build_image(
            folder, "asgi", "--asgi", f"{folder}/api.py:app", r"--host=vm\.example", level=9
        )
        self.assertLessEqual(image.size, ASGI_LIMIT)
        machine = self.boot("asgi", image)
        status, _, body = self.world.ask("/", "vm.example", "POST", b"world")
        self.assertEqual((status, body), (200, b"hello, world; 20666"))
        self.power_off(machine)

    def test_a_container_image(self) -> None:
        if os.getuid():
            self.skipTest("owners in a layer want root")
        folder = self.world.folder
        layout = Layout(folder, "shop:1")
        for path in ("srv", "etc", "tmp", "run/shop", "old"):
            (layout.root / path).mkdir(parents=True)
        (layout.root / "tmp").chmod(0o1777)
        shutil.copy(built("./internal/battery"), layout.root / "srv" / "battery")
        (layout.root / "init").write_text("the image's own\n")
        (layout.root / "run/shop/kept").write_text("x")
        os.chown(layout.root / "run/shop", 1001, 1002)
        (layout.root / "old/file").write_text("gone in the next layer")
        (layout.root / "etc/passwd").write_text(
            "root:x:0:0::/root:/bin/sh\nshop:x:1001:1002::/home/shop:/bin/sh\n"
        )
        (layout.root / "etc/group").write_text("root:x:0:\nshop:x:1002:\nmail:x:8:shop\n")
        layout.commit()
        (layout.root / "old/file").unlink()
        (layout.root / "old").rmdir()
        (layout.root / "old").symlink_to("/run/shop")
        (layout.root / "srv/data").write_text("data")
        os.link(layout.root / "srv/data", layout.root / "srv/again")
        os.utime(layout.root / "srv/data", (1_000_000_000, 1_000_000_000))
        (layout.root / "srv/data").chmod(0o6755)
        layout.commit()
        layout.config(
            entrypoint=["/srv/battery", "--listen"],
            cmd="127.0.0.1:80",
            exposedports="80/tcp",
            env="GREETING=hello there",
            workingdir="/srv",
            user="shop",
        )

        image = build_image(folder, "container", f"--container={layout.path}", r"--host=not-this")
        arguments = r"subproxy.host=vm\.example subproxy.env=FURTHER=of%20the%20kernel"
        machine = self.boot("container", image, arguments)

        def said(path: str) -> str:
            status, _, body = self.world.ask(path, "vm.example")
            self.assertEqual(status, 200)
            return body.decode()

        self.assertEqual(said("/environment/GREETING"), "hello there")
        self.assertEqual(said("/environment/FURTHER"), "of the kernel")
        self.assertEqual(
            said("/process"),
            "1001:1002 [8] in /srv, home /home/shop, host localhost is 127.0.0.1\n",
        )
        machine.wait_for("battery: written to /dev/stderr", 10)
        listing = {line.split()[0]: line.split()[1:] for line in said("/listing").splitlines()}
        self.assertEqual(listing["/old"][-1], "/run/shop")
        self.assertEqual(listing["/run/shop"][1], "1001:1002")
        self.assertIn("/run/shop/kept", listing)
        self.assertEqual(int(listing["/tmp"][0], 8), stat.S_IFDIR | 0o1777)
        self.assertEqual(
            listing["/srv/data"],
            [f"{stat.S_IFREG | 0o6755:o}", "0:0", "2", "1000000000"],
        )
        self.assertEqual(listing["/srv/again"], listing["/srv/data"])
        self.assertIn("/init", listing)
        # Whoever is not root may dial, too: no udev is there to see to it.
        self.assertEqual(int(listing["/dev/vsock"][0], 8), stat.S_IFCHR | 0o666)
        self.assertNotIn("/lib/modules/vsock.ko", listing)
        self.power_off(machine)
