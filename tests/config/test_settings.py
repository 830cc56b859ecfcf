"""The table of settings."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.reload import EFFECTS
from subproxy.config.options import Options
from subproxy.config.setting import Choice, Count, Flag, HttpLimit, Number
from subproxy.config.settings import TABLE, Settings
from subproxy.core.balancing.balancer import BALANCERS
from subproxy.frontend import limits
from subproxy.subscription.settings import SubscriptionSettings

SECTIONS = {"http", "tls", "guests", "limits", "workers", "cluster", "admin", "log"}


class TableTests(SynchronousTestCase):
    def test_a_row_for_each_option(self) -> None:
        """And for each attribute that the program reads."""
        options = {option.rstrip("=") for option in Options().longOpt} - {"help", "version"}
        options.remove("config")  # where they stand
        self.assertEqual({each.option for each in TABLE}, options)
        self.assertEqual(len(TABLE), len(options))
        own = {each.name for each in TABLE if not isinstance(each.kind, HttpLimit)}
        names = {each.name for each in dataclasses.fields(Settings)}
        self.assertEqual(own, names - {"http_limits"})

    def test_a_place_in_the_file(self) -> None:
        """No two settings have the same key of the same section."""
        places = {(each.section, each.key) for each in TABLE}
        self.assertEqual(len(places), len(TABLE))
        self.assertLessEqual({each.section for each in TABLE}, SECTIONS)

    def test_defaults(self) -> None:
        """They are values, and what the parts of the program take for granted by themselves."""
        options = Options()
        options.parseOptions([])
        settings = options.settings
        self.assertEqual(
            dataclasses.replace(settings, http=(), vsock=()),
            Settings(),
        )
        self.assertEqual(settings.http_limits, limits.HttpLimits())
        wire = SubscriptionSettings()
        self.assertEqual(settings.ping_interval, wire.ping_interval)
        self.assertEqual(settings.ping_timeout, wire.ping_timeout)
        self.assertEqual(settings.guest_timeout, wire.timeout)
        self.assertEqual(settings.bulk, wire.bulk)
        self.assertIn(settings.balance, BALANCERS)

    def test_every_bound(self) -> None:
        """Both ends of each are values; one beyond is none, and the complaint names the option."""
        bounded = [each for each in TABLE if isinstance(each.kind, (Number, Count))]
        self.assertGreater(len(bounded), 8)
        for each in bounded:
            assert isinstance(each.kind, (Number, Count))
            for end in (each.kind.low, each.kind.high):
                self.assertEqual(each.parse(repr(end)), end)
            part = [each.kind.low + 0.5] if isinstance(each.kind, Count) else []
            for beyond in (each.kind.low - 1, each.kind.high + 1, "x", "", "nan", *part):
                error = self.assertRaises(ValueError, each.parse, str(beyond))
                self.assertTrue(str(error).startswith(f"--{each.option}={beyond}: "))

    def test_every_word(self) -> None:
        chosen = [each for each in TABLE if isinstance(each.kind, Choice)]
        self.assertGreater(len(chosen), 2)
        for each in chosen:
            assert isinstance(each.kind, Choice)
            for word in each.kind.words:
                self.assertEqual(each.parse(word), word)
                self.assertIn(word, each.help)
            self.assertRaises(ValueError, each.parse, "")

    def test_a_flag(self) -> None:
        """A configuration file says yes or no."""
        self.assertIs(Flag().parse("true"), True)
        self.assertIs(Flag().parse("false"), False)
        self.assertRaises(ValueError, Flag().parse, "1")

    def test_what_is_set(self) -> None:
        options = Options()
        options.parseOptions(
            ["--http=1", "--http=tcp:2", "--trust=::1", "--max-head=9", "--linger=0.5"]
            + ["--no-fastpath", "--admin=/a", "--bulk=0", "--vsock-mode=600"]
        )
        settings = options.settings
        self.assertEqual(settings.http, ("1", "tcp:2"))
        self.assertEqual(settings.trust, ("::1",))
        self.assertEqual(settings.http_limits, limits.HttpLimits(head=9, linger=0.5))
        self.assertEqual((settings.no_fastpath, settings.admin), (True, "/a"))
        self.assertEqual((settings.bulk, settings.vsock_mode), (0, 0o600))

    def test_what_a_reload_changes(self) -> None:
        """What is marked has an effect then, and nothing else has."""
        reloaded = {each.name for each in TABLE if each.reload}
        self.assertEqual(reloaded, {*EFFECTS, "policy"})
