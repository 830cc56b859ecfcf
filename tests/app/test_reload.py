"""What a reload changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

from twisted.internet.testing import EventLoggingObserver, MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app.build import build
from subproxy.app.effects import EFFECTS
from subproxy.app.reload import Reloaded, Reloader, differences
from subproxy.app.service import ProxyService
from subproxy.config.configuration import SECTIONS
from subproxy.config.options import Options
from subproxy.config.setting import Choice, Flag, Octal
from subproxy.config.settings import Settings
from subproxy.config.sources import Effective
from subproxy.core.balancing.balancer import RoundRobin
from subproxy.frontend.half_close import HalfClose
from subproxy.frontend.limits import TABLE, HttpLimits
from subproxy.frontend.proxy_protocol.protocol import ProxyProtocolFactory

GUEST = '[[guest]]\nidentity = "cid:10"\nhosts = ["a.example"]\n'


class ReloadCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "subproxy.toml"
        self.policy = self.folder / "policy.toml"
        self.policy.write_text(GUEST)
        self.events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)

    def said(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def start(self, text: str | None, *words: str) -> None:
        """A proxy of the file C{text} and of options."""
        if text is not None:
            self.path.write_text(text)
            words = (f"--config={self.path}", *words)
        options = Options()
        options.parseOptions(
            ["--http=tcp:1", f"--vsock={self.folder}/a.sock", "--access-log=none", *words]
        )
        self.service: ProxyService = build(  # type: ignore[no-untyped-call]
            options.settings,
            MemoryReactorClock(),
            sources=options.sources,
            effective=options.effective,
        )
        self.reloader = Reloader(
            self.service,
            options.settings,
            options.sources.read,
            options.effective.has_policy,
        )

    def reload(self, text: str | None = None) -> Reloaded:
        if text is not None:
            self.path.write_text(text)
        return self.reloader.reload()

    def knows(self, identity: str) -> bool:
        return self.service.registrar.policy.knows(identity)


class PolicyReloadTests(ReloadCase):
    """Of C{--policy} alone."""

    def setUp(self) -> None:
        super().setUp()
        self.start(None, f"--policy={self.policy}")

    def test_reload(self) -> None:
        """A good file is put in force."""
        self.policy.write_text(GUEST.replace("10", "11"))
        self.assertEqual(self.reload(), Reloaded(applied=["policy"]))
        self.assertEqual((self.knows("cid:10"), self.knows("cid:11")), (False, True))
        self.assertIn("in force", self.said()[-1])

    def test_reload_of_the_same(self) -> None:
        """What says the same in other words has not changed, and is said not to have."""
        self.policy.write_text("# again\n" + GUEST)
        self.assertEqual(self.reload(), Reloaded())
        for more in ("routes = 3\n", "passthrough = true\n", "upgrades = ['tcp']\n"):
            self.policy.write_text(GUEST + more)
            self.assertEqual(self.reload(), Reloaded(applied=["policy"]), more)
            self.assertEqual(self.reload(), Reloaded())
            self.policy.write_text(f"{GUEST}[default]\n{more}")
            self.assertEqual(self.reload(), Reloaded(applied=["policy"]), more)
            self.assertEqual(self.reload(), Reloaded())

    def test_reload_of_a_bad_file(self) -> None:
        """A bad file changes nothing, and the log says line by line what is wrong."""
        before = self.service.registrar.policy
        self.policy.write_text(GUEST + "hots = 1\nroutes = 0\n")
        problems = self.reload().problems
        self.assertIs(self.service.registrar.policy, before)
        self.assertEqual([event["line"] for event in list(self.events)[-2:]], [4, 5])
        self.assertEqual(
            problems,
            [
                f"{self.policy}:4: unknown key 'hots'; did you mean 'hosts'?",
                f"{self.policy}:5: routes must be a number from 1",
            ],
        )

    def test_reload_without_file(self) -> None:
        """A file that is gone changes nothing."""
        before = self.service.registrar.policy
        self.policy.unlink()
        self.assertEqual(self.reload().problems, [f"{self.policy}: No such file or directory"])
        self.assertIs(self.service.registrar.policy, before)
        self.assertIn("stays as it was", self.said()[-1])


class ConfigurationReloadTests(ReloadCase):
    """Of C{--config}."""

    def test_what_can_change(self) -> None:
        """It is in force; what can not is told; what is as it was is not."""
        self.start("[guests]\nhold = 3\n")
        text = (
            "[guests]\nhold = 20\nqueue = 5\nvsock-port = 9\n"
            "[limits]\nmax-unsent = 9\nmax-head = 99\n"
        )
        self.assertEqual(
            self.reload(text),
            Reloaded(
                applied=["guests.hold", "guests.queue", "limits.max-head"],
                hand_over=["guests.vsock-port", "limits.max-unsent"],
            ),
        )
        self.assertEqual(self.service.registrar.registry.linger, 20.0)
        self.assertIn(
            "(SIGUSR2) is needed for guests.vsock-port, limits.max-unsent", self.said()[-1]
        )
        # What waits for a hand-over does so until it is there, or taken back.
        self.assertEqual(self.reload().hand_over, ["guests.vsock-port", "limits.max-unsent"])
        self.assertEqual(self.reload().applied, [])
        applied = ["guests.hold", "guests.queue", "limits.max-head"]
        self.assertEqual(self.reload(""), Reloaded(applied=applied))

    def test_the_command_line_wins(self) -> None:
        """Also over what is new in the file."""
        self.start("[guests]\nhold = 3\n", "--hold=4")
        self.assertEqual(self.reload("[guests]\nhold = 5\n"), Reloaded())
        self.assertEqual(self.service.registrar.registry.linger, 10.0)

    def test_a_bad_file_changes_nothing(self) -> None:
        """Not even what is good in it; nor when the policy that it names is bad."""
        self.start("[guests]\nhold = 3\n")
        for text, said in (
            ("[guests]\nhold = 20\nqueue = -1\n", f"{self.path}:3:1: queue = -1: a number"),
            (f"[guests]\nhold = 20\npolicy = '{self.folder}/none'\n", f"{self.folder}/none: No"),
            ("[guests]\nhold = 20\n[http]\nproxy-protocol='unix'", f"{self.path}:4:1: --proxy"),
        ):
            done = self.reload(text)
            self.assertEqual((done.applied, done.hand_over), ([], []))
            self.assertTrue(done.problems[0].startswith(said), done.problems)
            self.assertIn("as it was", self.said()[-1])
            self.assertEqual(self.service.registrar.registry.linger, 10.0)
        self.path.unlink()
        self.assertEqual(self.reload().problems, [f"{self.path}: No such file or directory"])

    def test_policy(self) -> None:
        """The last guest that leaves does not switch it off."""
        self.start(GUEST)
        self.assertEqual((self.knows("cid:10"), self.knows("cid:11")), (True, False))
        self.assertEqual(self.reload(GUEST.replace("10", "11")), Reloaded(applied=["policy"]))
        self.assertEqual((self.knows("cid:10"), self.knows("cid:11")), (False, True))
        for text in ("", "[default]\nroutes = 3\nupgrades = ['tcp']\n"):
            self.assertEqual(self.reload(text), Reloaded(applied=["policy"]))
            self.assertFalse(self.knows("cid:11"))
        self.assertEqual(self.service.registrar.policy.quotas("cid:11").routes, 3)
        self.assertEqual(self.service.registrar.policy.upgrades("cid:11"), {b"tcp"})
        self.assertIn("the policy is gone", "".join(self.said()))
        self.reload(GUEST)
        self.assertTrue(self.knows("cid:10"))

    def test_certificates_that_are_withdrawn(self) -> None:
        """Nothing has changed in the file, and yet something is in force no more."""
        self.start("")
        for gone, applied in ((True, ["tls.certificates"]), (False, [])):
            certificates = self.service.certificates = Mock()
            certificates.reload.return_value = gone
            self.assertEqual(self.reload(), Reloaded(applied=applied))

    def test_a_policy_that_is_new(self) -> None:
        """It is in force at once; for whom a bare port is, a start decides."""
        self.start("", "--http=8080")
        self.assertTrue(self.knows("cid:10"))
        self.assertEqual(self.reload(""), Reloaded())
        self.assertEqual(
            self.reload(GUEST), Reloaded(applied=["policy"], hand_over=["http.listen"])
        )
        self.assertFalse(self.knows("cid:11"))

    def test_a_policy_in_a_file_of_its_own(self) -> None:
        """Its path may change, and where it stands, too."""
        self.start(GUEST.replace("10", "11"))
        text = f"[guests]\npolicy = '{self.policy}'\n"
        self.assertEqual(self.reload(text).applied, ["policy"])
        self.assertTrue(self.knows("cid:10"))


class EveryKeyTests(ReloadCase):
    def test_each(self) -> None:
        """A reload applies what the table marks, and names each of the others."""
        self.start("", "--http=8080")
        for section, rows in SECTIONS.items():
            if section == "cluster":
                continue  # each wants another one: see below
            for key, row in rows.items():
                if isinstance(row.kind, Choice):
                    value = next(f"'{word}'" for word in row.kind.words if word != row.default)
                elif isinstance(row.kind, Flag):
                    value = "true"
                elif isinstance(row.kind, Octal):
                    value = "'600'"
                elif row.word in ("NETWORK",):
                    value = "'unix'"
                elif row.default not in (None, "-") and row.word != "FOLDER":
                    value = str(int(float(str(row.default))) + 1)
                elif row.word == "SHARE":
                    value = "0.5"
                else:
                    value = "'unix:/x'"
                if row.name in ("policy", "http", "vsock", "access_log", "proxy_protocol"):
                    continue  # the policy is tested above, the others stand on the command line
                if row.name in ("https", "certificates", "acme"):
                    continue  # each wants another one
                if row.name == "machine_files":
                    continue  # with it there is a policy: see below
                done = self.reload(f"[{section}]\n{key} = {value}\n")
                self.assertEqual(done.problems, [])
                place = [row.place]
                self.assertEqual(done.applied, place if row.reload else [], row.place)
                self.assertEqual(done.hand_over, [] if row.reload else place, row.place)
                self.reload("")

    def test_machine_files(self) -> None:
        """The folder waits for a hand-over; that nobody may claim what is not declared does not."""
        self.start("", "--http=8080")
        done = self.reload("[workers]\nmachine-files = '/nowhere/machines'\n")
        self.assertEqual(done.hand_over[:1], ["workers.machine-files"])
        self.assertEqual(done.applied, ["policy"])
        self.assertFalse(self.knows("cid:10"))

    def test_other_hosts(self) -> None:
        """What is said of other hosts wants a hand-over, all of it."""
        self.start("", "--http=8080")
        for lines in (
            ("listen = 7443", "certificate = 'a'", "ca = 'b'", "peer = 'kvm-2=a:1'"),
            (
                *("listen = 7443", "certificate = 'a'", "ca = 'b'", "address = 'a:1'"),
                *("store = 'etcd:http://a:1'", "prefix = '/x/'"),
                *("credentials = 'c'", "store-ca = 'd'"),
            ),
        ):
            done = self.reload("\n".join(("[cluster]", *lines)))
            self.assertEqual((done.problems, done.applied), ([], []))
            named = {f"cluster.{line.partition(' ')[0]}" for line in lines}
            self.assertEqual(set(done.hand_over), named)

    def test_effects(self) -> None:
        """Each effect is seen in the proxy."""
        self.start("", "--http=haproxy:tcp:2")
        settings = replace(
            Settings(),
            hold=30.0,
            queue=1,
            queue_total=2,
            queue_timeout=4.0,
            shutdown_timeout=5.0,
            balance="round-robin",
            ping_interval=1.0,
            ping_timeout=2.0,
            guest_timeout=7.0,
            bulk=0,
            trust=("10.0.0.0/8",),
            proxy_protocol=("192.0.2.0/24",),
            half_close="deny",
            spin=3.0,
            eject_failures=9,
            eject_time=1.5,
            traces=0.25,
        )
        engine = self.service.clock.engine = Mock()  # type: ignore[attr-defined]
        limits = {row.name: row.default + 1 for row in TABLE if row.name != "unsent"}
        settings = replace(settings, http_limits=HttpLimits(**limits))
        for effect in EFFECTS.values():
            effect(self.service, settings)
        limits = self.service.dispatcher.admission._limits
        http = self.service.http
        self.assertEqual(http.context.limits, settings.http_limits)
        self.assertIs(http.validator.limits, http.context.limits)
        self.assertEqual(http.connections.limit, 1)
        self.assertEqual(
            (limits.vacant, limits.pool, limits.total, limits.busy, limits.linger),
            (30.0, 1, 2, 4.0, 30.0),
        )
        self.assertEqual(self.service.shutdown_timeout, 5.0)
        self.assertIsInstance(self.service.dispatcher.admission.balancer, RoundRobin)
        times = self.service.subscriptions.context.settings
        self.assertEqual(
            (times.ping_interval, times.ping_timeout, times.timeout, times.bulk),
            (1.0, 2.0, 7.0, None),
        )
        self.assertTrue(http.context.forwarding.peer(b"10.0.0.1").trusted)
        [_, proxied] = self.service.http_listeners
        assert isinstance(proxied.factory, ProxyProtocolFactory)
        self.assertTrue(proxied.factory.peers.trusts(b"192.0.2.1"))
        self.assertFalse(proxied.factory.peers.trusts(b"127.0.0.1"))
        self.assertIs(http.context.half_close, HalfClose.DENY)
        assert http.context.rules.traces is not None
        self.assertEqual(http.context.rules.traces.share, 0.25)
        self.assertEqual(engine.spin, 3e-6)
        detector = self.service.dispatcher.failing.detector
        self.assertEqual((detector.row, detector.time), (9, 1.5))
        found = differences(Settings(), settings)
        self.assertEqual({each.name for each in found}, set(EFFECTS))

    def test_without_sources(self) -> None:
        """Only what was there at the start is read."""
        self.start("")
        effective = Effective({}, Settings(), None)
        reloader = Reloader(self.service, Settings(), lambda: effective, False)
        self.assertEqual(reloader.reload(), Reloaded())
