"""What is done with a folder of VM sockets where inotify can't be had."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile

from twisted.trial.unittest import SynchronousTestCase

CHILD = """
import ctypes.util, os, socket, sys
ctypes.util.find_library = lambda name: None  # as where there is neither ldconfig nor a compiler

from twisted.internet import reactor
from twisted.internet.protocol import Factory
from twisted.logger import formatEvent, globalLogPublisher
from subproxy.endpoints import folder

folder.RESYNC_WITHOUT_INOTIFY = 0.02

def observe(event):
    if event["log_level"].name != "info":
        print(formatEvent(event), flush=True)

globalLogPublisher.addObserver(observe)

def listening(address):
    print("listening on", os.path.basename(address.path), flush=True)
    if address.path.endswith("a.sock"):
        socket.socket(socket.AF_UNIX).bind(sys.argv[1] + "/b.sock")
    else:
        service.stopService().addBoth(lambda _: reactor.stop())

service = folder.FolderService(reactor, sys.argv[1] + "/*.sock", 12345, Factory(), listening)
reactor.callWhenRunning(service.startService)
reactor.callLater(60, reactor.stop)
reactor.run()
"""


class WithoutInotifyTests(SynchronousTestCase):
    def test_a_machine_whose_c_library_is_not_found(self) -> None:
        """The folder is looked at by the clock instead, and that is said once."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        with socket.socket(socket.AF_UNIX) as vmm:
            vmm.bind(os.path.join(folder, "a.sock"))
        done = subprocess.run(
            [sys.executable, "-c", CHILD, folder],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        said = done.stdout.splitlines()
        self.assertEqual(
            said,
            [
                f"{folder} can't be watched (no inotify: Can't find C library.):"
                " it is looked at every 0.02 s instead",
                "listening on a.sock",
                "listening on b.sock",
            ],
        )
