"""What test_reactor_oldest.py runs inside a machine: the reactor's tests, on its kernel."""

from __future__ import annotations

import os
import sys
import unittest

sys.path.insert(0, "/app")
os.chdir("/tmp")

suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
print("kernel", os.uname().release, flush=True)
result = unittest.TextTestRunner(sys.stdout, verbosity=2).run(suite)
print("ran", result.testsRun, "skipped", len(result.skipped), flush=True)
sys.exit(not result.wasSuccessful())
