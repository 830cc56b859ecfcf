"""Limits, defaults and times that the pages state in prose are those of the code."""

from __future__ import annotations

import inspect
import re
from functools import cache

from twisted.trial.unittest import SynchronousTestCase

import guest
from guest.core import backoff, outage, restore
from guest.core.route_registrar import TOO_FAST
from guest.core.subscription import GRACE
from guest.twisted.factory import SubscriberFactory
from guest.twisted.service import SubscriberService
from subproxy.config.options import Options
from subproxy.core.access import log_limit, penalties
from subproxy.core.balancing.member import LINGER
from subproxy.core.http import fields, origin
from subproxy.core.routing import route_table
from subproxy.endpoints import hybrid, listening
from subproxy.frontend import deadlines, half_close
from subproxy.frontend.http1 import disconnect_probe, unreadable_head
from subproxy.frontend.http2 import bounds
from subproxy.frontend.limits import WRITE_BUFFER
from subproxy.frontend.proxy_protocol import header
from subproxy.subscription import session, time_share, turn_budget
from subproxy.subscription.settings import SubscriptionSettings
from subproxy.telemetry import access_log
from subproxy.wire import limits
from tests.rigs.paths import ROOT

SETTINGS = SubscriptionSettings()
KIB = 1024


@cache
def words(page: str) -> str:
    """The text of a page on one line."""
    return " ".join((ROOT / page).read_text(encoding="utf-8").split())


def compiled(name: str) -> int:
    """A constant of the compiled path, by its name: they stand in enums of C."""
    folder = ROOT / "subproxy" / "fastpath"
    found = {
        int(value)
        for path in (*folder.glob("*.pyx"), *folder.glob("*.pxd"))
        for value in re.findall(rf"^    {name} = (\d+)", path.read_text("utf-8"), re.MULTILINE)
    }
    (value,) = found
    return value


class Case(SynchronousTestCase):
    page: str

    def says(self, *sentences: str) -> None:
        for sentence in sentences:
            self.assertIn(sentence, words(self.page))


class FastPathTests(Case):
    page = "docs/explanation/fastpath.md"

    def test_what_is_plain(self) -> None:
        self.says(
            f"head has at most {compiled('MOST_HEAD') // KIB} KiB",
            f"stays below {compiled('MOST_PARTIAL') // KIB} KiB",
            f"with a body of at most {compiled('MOST_ANSWER') // KIB} KiB",
            f"rides in its frame: at most {limits.Limits().inline // KIB} KiB",
        )
        self.assertEqual(deadlines.INTERVAL, 0.5)
        self.says("by the next sweep of the deadlines, half a second at most")


class GuestTests(Case):
    page = "docs/reference/guest.md"

    def test_dialling(self) -> None:
        self.says(
            f"a random time of at most {backoff.FIRST * 1000:g} ms",
            f"with each failure, up to {backoff.LONGEST:g} s",
            f"({SETTINGS.timeout:g} s unless `--guest-timeout` says otherwise)",
            f"jumped ahead by over {restore.JUMP:g} s",
            f"again after {outage.FIRST_REMINDER:g} seconds",
            f"at most {outage.LONGEST_REMINDER / 60:g} minutes",
        )
        self.assertEqual((TOO_FAST, GRACE), (1.0, 1.0))
        self.says("`too-fast` is asked for again after a second")
        self.says("no route a second after it began")

    def test_response(self) -> None:
        self.says(f"at most {limits.MAX_HEADERS} and {limits.MAX_HEADER_BYTES:,} bytes")

    def test_signatures(self) -> None:
        """The signatures of the page: names, order and defaults."""
        text = (ROOT / self.page).read_text(encoding="utf-8")
        for kind in (guest.Response, SubscriberFactory, SubscriberService):
            shown = re.search(rf"^    {kind.__name__}\((.*?)\)$", text, re.MULTILINE | re.DOTALL)
            assert shown, kind
            told = [each for each in re.split(r",\s+", shown[1]) if each not in {"*", ""}]
            signature = inspect.signature(kind.__init__)
            there = [each for each in signature.parameters.values() if each.name != "self"]
            self.assertEqual([each.partition("=")[0] for each in told], [p.name for p in there])
            for each, parameter in zip(told, there, strict=True):
                default = each.partition("=")[2]
                if default.replace(".", "").isdigit() or default in {"None", "True", "False"}:
                    self.assertEqual(default, str(parameter.default), each)


class WriteAnApplicationTests(Case):
    page = "docs/howto/write-an-application.md"

    def test_pings(self) -> None:
        self.says(
            f"After {SETTINGS.ping_timeout:g} seconds without a pong the proxy sends nothing new, "
            f"after {SETTINGS.timeout:g} it gives the subscription up"
        )

    def test_bodies(self) -> None:
        self.says(f"at most one window ({limits.Limits().window // KIB} KiB)")
        assert SETTINGS.bulk is not None
        self.says(f"Above {(SETTINGS.bulk - 1) // KIB} KiB such a body has a connection of its own")

    def test_drain(self) -> None:
        drain = inspect.signature(SubscriberFactory).parameters["drainTimeout"].default
        self.says(f"waits for that for {drain:g} seconds (`--drain-timeout`)")


class HttpTests(Case):
    page = "docs/reference/http.md"

    def test_responses(self) -> None:
        self.says(
            f"at most {min(limits.MAX_HEADERS, fields.MAX_RESPONSE_FIELDS)} fields, of "
            f"{fields.MAX_RESPONSE_HEAD // KIB} KiB together",
            f"At most {origin.MAX_HOPS} hops are read",
        )

    def test_clients_that_leave(self) -> None:
        self.assertEqual((half_close.PATIENCE, deadlines.INTERVAL), (1.0, 0.5))
        self.says(
            f"takes longer than {disconnect_probe.PATIENCE * 1000:g} ms",
            "when the guest has sent nothing for a second",
            "They pass at most half a second late",
            "within half a second more",
        )

    def test_hold(self) -> None:
        self.says(f"for {LINGER:g} seconds (`--hold`, if that is longer)")

    def test_access_log(self) -> None:
        self.assertEqual((access_log.FLUSH_AFTER, access_log.MODE), (1.0, 0o640))
        self.says(
            f"when less than {WRITE_BUFFER // KIB} KiB of it (of HTTP/2 "
            f"{bounds.WRITE_BUFFER // KIB} KiB) wait",
            f"once a second, or {access_log.FLUSH_SIZE // KIB} KiB at a time",
            f"({unreadable_head._SHOWN} bytes of what is no request line)",
            "made with mode 0640",
        )


class Http2Tests(Case):
    page = "docs/reference/http2.md"

    def test_bounds(self) -> None:
        self.says(
            f"| streams at a time | {bounds.MOST_STREAMS} |",
            f"| {bounds.STREAM_WINDOW:,} a stream, {bounds.LARGEST_WINDOW:,} where it has taken "
            f"all that came so far; {bounds.CONNECTION_WINDOW:,} a connection |",
            f"| heads of all streams that are open | {bounds.MOST_HEADS:,},",
            f"| {bounds.MOST_BLOCK:,}; {bounds.MOST_CONTINUATIONS} CONTINUATION frames |",
            f"before its further requests wait, too | {bounds.MOST_WAITING:,} |",
            f"is read for {bounds.CONNECTION_WINDOW:,} bytes more, and then reset",
        )

    def test_pieces(self) -> None:
        share = bounds.MOST_WAITING
        self.assertEqual((share // 2 >= bounds.MOST_READ, share // 8), (True, bounds.LEAST_READ))
        self.says(
            f"{bounds.LEAST_READ:,} bytes for each request",
            f"of {bounds.MOST_READ:,} bytes where one or two streams are open",
            f"of {bounds.LEAST_READ:,} where eight or more are",
            f"as much waits in the transport, {bounds.WRITE_BUFFER:,} bytes,",
        )


class ProxyTests(Case):
    page = "docs/reference/proxy.md"

    def test_prose(self) -> None:
        self.assertEqual(log_limit.LINES, 10)
        self.says(
            f"of {header.LONGEST:,} bytes at most",
            "ten lines a second at most",
            f"(for `--shutdown-timeout`, {float(Options()['shutdown-timeout']):g} seconds)",
        )


class EndpointsTests(Case):
    page = "docs/reference/endpoints.md"

    def test_defaults(self) -> None:
        self.says(
            f"| `port` | {hybrid.DEFAULT_PORT} unless told |",
            f"| `backlog` | {hybrid.MIN_BACKLOG} at least",
        )


class HoldTests(Case):
    """`--hold`, where it is told by its number."""

    def test_readme_and_tutorial(self) -> None:
        hold = f"{float(Options()['hold']):g}"
        self.assertEqual((hold, LINGER), ("3", 10.0))
        self.page = "README.md"
        self.says(f"requests wait for one, {hold} seconds at most")
        self.page = "docs/tutorial/first-application.md"
        self.says("for ten seconds after the last one has left, requests wait for three seconds")


class ThreatsTests(Case):
    page = "docs/explanation/threats.md"

    def test_frames(self) -> None:
        self.says(
            f"{limits.MAX_LENGTH_DIGITS} digits, depth {limits.MAX_DEPTH}, nothing allocated",
            f"{limits.MAX_ELEMENTS:,} elements a frame",
            f"{time_share.SHARE * 1000:g} ms of a turn of the reactor",
            f"{SETTINGS.events_a_turn} messages a turn",
            f"that nobody needs {penalties.RATE:,.0f} a second",
        )

    def test_registrations(self) -> None:
        self.says(
            f"a refused one counts as {session.REFUSAL}",
            f"newcomers get {turn_budget.BUDGET * 1000:g} ms of a reactor turn",
            f"more than {route_table.HOST_COST / 1e6:g} ms (literal host) or "
            f"{route_table.PATTERN_COST / 1e6:g} ms (host patterns)",
        )

    def test_who_offends(self) -> None:
        self.assertEqual((penalties.FREE, SETTINGS.offences, log_limit.LINES), (3.0, 10, 10))
        self.assertEqual(listening.REFUSALS, 4)
        self.says(
            "after three offences its next connection is accepted, and heard later: "
            f"{penalties.FIRST:g} s, doubled each time, {penalties.MOST:g} s at most",
            f"as many again in {penalties.AGAIN:g} s",
            f"four each {listening.REST * 1000:g} ms",
            f"a greeting in {SETTINGS.greeting_timeout:g} s",
            "ten offences end a subscription",
            "ten lines a second for each identity",
            f"backlog {hybrid.MIN_BACKLOG}",
            f"from {backoff.FIRST * 1000:g} ms to {backoff.LONGEST:g} s",
            f"{header.LONGEST:,} bytes",
        )


class CodeTests(SynchronousTestCase):
    def test_constants_of_the_compiled_path(self) -> None:
        """The helper finds one value, and fails for a name that is not there."""
        self.assertGreater(compiled("MOST_HEAD"), compiled("MOST_PARTIAL"))
        self.assertRaises(ValueError, compiled, "MOST_NOTHING")
