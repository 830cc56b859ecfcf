"""C{subproxy-mkinitramfs} run as a user runs it; what it writes is looked at, not booted."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image.cpio import Entry, unpack
from guest.image.options import default_cache
from tests.integration.golang import built, go
from tests.integration.qemu import ROOT, need_tools, scratch

HELLO = str(ROOT / "examples" / "hello.py")


def run(*arguments: str, measured: bool = True) -> subprocess.CompletedProcess[str]:
    """
    Run it from another folder than the checkout.

    C{measured}: with branch coverage, if this process has it; what is built once more needs none.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if measured or not name.startswith("COVERAGE_PROCESS")
    }
    return subprocess.run(
        [sys.executable, "-m", "guest.image.cli", "--level=1", *arguments],
        cwd="/",
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def entries(image: Path) -> dict[str, Entry]:
    """The files of an image."""
    done = subprocess.run(["zstd", "-dcq", str(image)], capture_output=True, check=True)
    return {entry.path: entry for entry in unpack(done.stdout)}


class ImageTests(SynchronousTestCase):
    def setUp(self) -> None:
        need_tools()

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        with scratch() as folder:
            # A cache of its own: packages as they are, but everything compiled anew.
            cache = folder / "cache"
            cache.mkdir()
            first = run(HELLO, "-o", f"{folder}/a.img", measured=False)
            self.assertEqual(first.returncode, 0, first.stderr)
            for name in ("archives", "unpacked"):
                (cache / name).symlink_to(default_cache() / name)
            words = [f"--cache={cache}", "--epoch=0"]
            second = run(HELLO, "-o", f"{folder}/b.img", *words, measured=False)
            self.assertEqual(second.returncode, 0, second.stderr)
            self.assertEqual((folder / "a.img").read_bytes(), (folder / "b.img").read_bytes())

    def test_what_is_in_an_image(self) -> None:
        with scratch() as folder:
            done = run(HELLO, "-o", f"{folder}/a.img", "--host=a\\.b", "--list")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = entries(folder / "a.img")
            for path in found:
                self.assertIn(f" /{path}", done.stdout)
            self.assertEqual(found["app/hello.py"].data, Path(HELLO).read_bytes())
            self.assertEqual(
                found["etc/subproxy.args"].data,
                b"subproxy.app=hello:Hello subproxy.host=a\\.b\n",
            )
            modules = found["etc/modules"].data.decode().split()
            self.assertLess(modules.index("vsock"), modules.index("vmw_vsock_virtio_transport"))
            for device in ("console", "urandom"):
                self.assertTrue(stat.S_ISCHR(found[f"dev/{device}"].mode))
            self.assertIn("opt/python/subproxy/wire/frames.pyc", found)
            self.assertNotIn("opt/python/subproxy/tap.pyc", found)
            self.assertFalse(
                [path for path in found if path.startswith("opt/python/twisted/conch/")]
            )
            self.assertTrue((folder / "a.vmlinux").read_bytes().startswith(b"\x7fELF"))
            self.assertIn("twistd -n subproxy --http=8888 --vsock=/tmp/vm3.sock", done.stdout)

    def test_a_program_and_its_folder(self) -> None:
        go()
        with scratch() as folder:
            root = folder / "root"
            (root / "srv").mkdir(parents=True)
            serve = root / "srv" / "serve"
            serve.write_text("#!/srv/interpreter\n")
            serve.chmod(0o755)
            words = ["--root", str(root), "--to=http://127.0.0.1:3000", "-o", f"{folder}/a.img"]
            program = ["--set=arg=--ready=/up", "--", "/srv/serve", "--port", "3000"]
            missing = run(*words, *program)
            self.assertEqual(missing.returncode, 1)
            self.assertIn("/srv/interpreter isn't in there", missing.stderr)

            shutil.copy(built("./internal/battery"), root / "srv" / "interpreter")
            done = run(*words, *program)
            self.assertEqual(done.returncode, 0, done.stderr)
            found = entries(folder / "a.img")
            self.assertEqual(
                found["etc/subproxy.args"].data.decode().split(),
                ["subproxy.to=http://127.0.0.1:3000", "subproxy.arg=--ready=/up"]
                + ["subproxy.run=/srv/serve", "subproxy.run=--port", "subproxy.run=3000"]
                + ["subproxy.folder=/", "subproxy.root=/rootfs"],
            )
            self.assertTrue(found["init"].data.startswith(b"\x7fELF"))
            self.assertEqual(found["rootfs/srv/serve"].mode, stat.S_IFREG | 0o755)
            self.assertIn("rootfs/etc/hosts", found)
            self.assertIn("lib/modules/vsock.ko", found)
            self.assertIn("/srv/serve, Linux", done.stdout)

            again = run(*words, *program, measured=False)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertEqual(entries(folder / "a.img"), found)

    def test_what_is_wrong_is_one_line(self) -> None:
        with scratch() as folder:
            for arguments in (
                ["no_such_module:App"],
                [f"{folder}/none.py"],
                [HELLO, "--kernel=0.0.1-none"],
                [HELLO, "--set=hosts=a"],
                [HELLO, "--host=a", "--host=b", "--path=/1", "--path=/2", "--path=/3"],
                [HELLO, "--python=2.7"],
                ["--asgi", f"{HELLO}:none"],
                ["--container", HELLO],
                ["--container", f"{folder}/none.tar"],
                ["--root", f"{folder}/none", "--to=unix:/x"],
            ):
                done = run(*arguments, "--quiet", "-o", f"{folder}/a.img")
                self.assertEqual(done.returncode, 1, arguments)
                self.assertRegex(done.stderr, r"\Asubproxy-mkinitramfs: [^\n]+\n\Z")
                self.assertFalse((folder / "a.img").exists())
