"""The process that workers are forked from, in one of its own."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

NO_FORK = """
import errno, os
from subproxy.workers import template
from subproxy.workers.channel import channel_pair, receive_now, send_now
from subproxy.workers.messages import Fork, Forked

parent, control = channel_pair()
forks = []

def fork():
    forks.append(os.getpid())
    if len(forks) == 1:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return before()

before, os.fork = os.fork, fork
for serial in (1, 2):
    ours, theirs = channel_pair()
    send_now(parent, Fork(serial, descriptors=(theirs.fileno(),)))
    theirs.close()
    if serial == 1:
        failed = ours
parent.shutdown(1)
worker = template._serve(control, lambda: None, lambda: 0)
if worker is not None:
    os._exit(0)
print(receive_now(failed).reason)
print(receive_now(failed))
print(type(receive_now(parent)) is Forked)
"""


class TemplateTests(SynchronousTestCase):
    def test_no_fork(self) -> None:
        """It says so to whoever waits for that worker, and forks the next."""
        done = subprocess.run(
            [sys.executable, "-c", NO_FORK],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.stderr, "")
        self.assertEqual(
            done.stdout.splitlines(),
            ["it can't be forked: Resource temporarily unavailable", "None", "True"],
        )
