"""The help text: options in groups."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from twisted.trial.unittest import SynchronousTestCase

from subproxy.config.help_text import DISTRIBUTION, options_text, release, tell

GROUPS = (("One", (("port", "PORT"), ("flag", ""))), ("Two", (("a-very-long-option-name", "X"),)))
TEXTS = {"port": "The  port\n    there.", "flag": "Do it.", "a-very-long-option-name": "words " * 9}


class HelpTextTests(SynchronousTestCase):
    def test_layout(self) -> None:
        """Blanks of sources are none of the reader's; a long name has a line of its own."""
        said = options_text(GROUPS, TEXTS, {"port": "1", "flag": 0}, 60)
        self.assertEqual(
            said,
            "One:\n"
            "  --port=PORT               The port there (default: 1).\n"
            "  --flag                    Do it.\n"
            "\n"
            "Two:\n"
            "  --a-very-long-option-name=X\n"
            "                            words words words words words\n"
            "                            words words words words\n",
        )

    def test_release(self) -> None:
        """What is installed; a copy that never was has none."""
        self.assertEqual(release(), version(DISTRIBUTION))
        self.assertEqual(release("nothing-of-that-name"), "unknown")

    def test_who_reads_has_enough(self) -> None:
        """As head has, behind a pipe: nothing is left that Python would complain of at its end."""
        reader, writer = os.pipe()
        os.close(reader)
        pipe = os.fdopen(writer, "w")
        self.addCleanup(pipe.close)
        self.patch(sys, "stdout", pipe)
        tell("much")
        tell("more")
