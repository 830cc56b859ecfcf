"""Requests that wait for a guest to have room: on the compiled path as on the Python path."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import AdmissionLimits
from subproxy.core.balancing.member import MemberEvent
from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.wire import messages as m
from tests.rigs.conversation_case import GET, POST
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import response
from tests.rigs.queue_rig import LIMITS, QueuePair

OTHER = GET.replace(b"a.example", b"b.example")
BODY = POST % 5 + b"hello"
LARGE = POST % 20_000 + b"x" * 20_000
OLD = GET.replace(b"HTTP/1.1", b"HTTP/1.0")  # Python's, with all that it asks
TRACED = GET.replace(b"Accept: */*", b"X-Request-Id: id-7\r\nX-Forwarded-For: 203.0.113.9")
PUT = BODY.replace(b"POST", b"PUT")
REQUESTS = [
    [PUT],
    *([GET], [OTHER], [BODY], [LARGE], [LARGE[:300], LARGE[300:]], [OLD], [TRACED], [GET + OTHER]),
    *([GET[:30], GET[30:]], [GET.replace(b"Accept: */*", b"Connection: close")], [b"no request"]),
    [GET.replace(b"GET", b"HEAD")],
]

steps = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 5), st.sampled_from(REQUESTS)),
    st.tuples(st.just("ask"), st.integers(0, 5), st.just([GET])),
    st.tuples(st.just("answer"), st.integers(0, 2), st.sampled_from([200, 200, 200, 404, 500])),
    st.tuples(st.just("answer"), st.just(0), st.just(200)),
    st.tuples(st.just("leave"), st.integers(0, 5), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.25, 0.7, 2.0, 3.0]), st.none()),
    st.tuples(st.just("grant"), st.sampled_from([0, 1, 2, 3]), st.none()),
    st.tuples(
        st.just("feed"),
        st.sampled_from([e for e in MemberEvent if e is not MemberEvent.LEAVE]),
        st.none(),
    ),
    st.tuples(
        st.just("limits"),
        st.sampled_from([LIMITS, AdmissionLimits(), AdmissionLimits(pool=1, busy=0.5)]),
        st.none(),
    ),
    st.tuples(st.just("give up"), st.integers(0, 2), st.sampled_from([b"refused", b"error"])),
    st.tuples(st.just("join"), st.none(), st.none()),
    st.tuples(st.just("second"), st.sampled_from(["answer", "refused", "error"]), st.none()),
    st.tuples(st.just("die"), st.booleans(), st.none()),
)


skip = unavailable()


def play(pair: QueuePair, what: str, first: object, second: object) -> None:
    """One thing that happens to both."""
    match what, first, second:
        case "ask", int(number), list(pieces):
            if number not in pair.posting:
                pair.client(number, *pieces)
        case "answer", int(back), int(status):
            if pair.asked > back:
                pair.answer(pair.asked - back, status)
        case "leave", int(number), bool(half):
            pair.leave(number, half)
        case "wait", float(seconds), _:
            pair.wait(seconds)
        case "grant", int(most), _:
            pair.grant(most)
        case "feed", MemberEvent() as event, _:
            pair.feed(event)
        case "limits", AdmissionLimits() as limits, _:
            pair.limits(limits)
        case "give up", int(back), bytes(code):
            if pair.asked > back:
                pair.give_up(pair.asked - back, code, b"why")
        case "join", _, _:
            pair.join()
        case "second", str(how), _:
            number = pair.asked_second
            if number:
                end = m.Abort(number, how.encode()).encode()
                pair.second(response(number) if how == "answer" else end)
        case "die", bool(second), _:
            (pair.lose_second if second else pair.lose_guest)()


class WaitingQueueTests(SynchronousTestCase):
    def pair(self, **options: object) -> QueuePair:
        pair = QueuePair(**options)
        self.addCleanup(pair.close)
        return pair

    @settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(steps, max_size=40),
        st.integers(1, 3),
        st.sampled_from(["json", "combined"]),
        st.booleans(),
    )
    def test_any_turns(
        self, todo: list[tuple[str, object, object]], most: int, style: str, trusted: bool
    ) -> None:
        pair = QueuePair(
            concurrency=most,
            style=style,
            trust=["192.0.2.7"] if trusted else None,
            # Whose answers are late at the same time is told in the order of a set.
            limits=HttpLimits(response_timeout=1e6),
        )
        for step in todo:
            play(pair, *step)
        pair.close()

    def test_turns_come_first_come_first_served_by_the_compiled_path(self) -> None:
        pair = self.pair(style="json")
        for number in range(4):
            pair.client(number, (GET, OTHER)[number % 2])
            pair.wait(0.0625)
        self.assertEqual(pair.last["waiting"], 3)
        lines = []
        for number in range(1, 5):
            pair.wait(0.125)
            self.assertEqual(pair.asked, number)
            pair.answer(number)
            self.assertTrue(pair.last[f"client {number - 1}"][0].startswith(b"HTTP/1.1 200"))
            lines.append(json.loads(pair.last["log"][0]))
        self.assertEqual([line["queued"] for line in lines], [0.0, 0.3125, 0.375, 0.4375])
        self.assertEqual([line["guest"] for line in lines], [0.375, 0.125, 0.125, 0.125])
        self.assertEqual(pair.last["waiting"], 0)
        self.assertEqual(pair.stats["requests"], 4)
        self.assertEqual(pair.stats["declined_requests"], 0)
        self.assertEqual(pair.stats["declined_answers"], 0)

    def test_a_body_waits_with_its_head(self) -> None:
        for pieces in ([BODY], [LARGE[:300], LARGE[300:9_000], LARGE[9_000:]]):
            pair = self.pair()
            pair.client(0, GET)
            pair.client(1, *pieces)
            pair.answer(1)
            self.assertIn(pieces[0].partition(b"\r\n\r\n")[2], pair.last["guest"])
            pair.answer(2)
            self.assertEqual(pair.stats["requests"], 2)
            self.assertEqual(pair.stats["declined_requests"], 0)

    def test_a_body_that_waits_is_no_upload_by_a_reload(self) -> None:
        """It is here, whole: a guest must not be promised that it comes over a data connection."""
        for pieces in ([LARGE], [LARGE[:300], LARGE[300:]]):
            pair = self.pair()
            pair.client(0, GET)
            pair.client(1, *pieces)
            for side in pair.sides:
                side.factory.set_limits(HttpLimits(inline=1000))
            pair.answer(1)
            self.assertIn(LARGE.partition(b"\r\n\r\n")[2], pair.last["guest"])
            pair.answer(2)
            self.assertEqual(pair.stats["requests"], 2)
            self.assertEqual(pair.stats["declined_requests"], 0)

    def test_both_paths_wait_in_one_queue(self) -> None:
        """What the Python path has keeps its turn, and what is behind it stays compiled."""
        pair = self.pair()
        for number, request in enumerate((GET, GET, OLD, GET)):
            pair.client(number, request)
        for number in range(1, 5):
            pair.answer(number)
            self.assertTrue(pair.last[f"client {number - 1}"][0].startswith(b"HTTP/1.1 200"))
        self.assertEqual(pair.stats["requests"], 3)
        self.assertEqual(pair.stats["declined_requests"], 1)

    def test_who_waits_too_long_is_told_so(self) -> None:
        pair = self.pair()
        pair.client(0, GET)
        pair.client(1, GET)
        pair.client(2, GET + GET)
        pair.wait(3.5)
        for number in (1, 2):
            self.assertTrue(pair.last[f"client {number}"][0].startswith(b"HTTP/1.1 503"))
        pair.answer(1)

    def test_an_answer_may_be_late_before_the_guest_was_asked(self) -> None:
        pair = self.pair(limits=HttpLimits(response_timeout=2.0))
        pair.client(0, GET)
        pair.wait(0.25)
        pair.client(1, GET)
        pair.limits(AdmissionLimits(busy=30.0))
        pair.wait(1.5)
        pair.answer(1)
        pair.wait(1.0)
        self.assertTrue(pair.last["client 1"][0].startswith(b"HTTP/1.1 504"))

    def test_who_leaves_gives_its_place_up(self) -> None:
        pair = self.pair()
        for number in range(4):
            pair.client(number, GET)
        pair.leave(1)
        self.assertEqual(pair.last["waiting"], 2)
        pair.answer(1)
        self.assertEqual(pair.last["waiting"], 1)
        pair.leave(3)
        pair.answer(2)
        self.assertEqual(pair.last["waiting"], 0)
        self.assertEqual(pair.asked, 2)

    def test_a_bounded_queue(self) -> None:
        pair = self.pair()
        for number in range(6):
            pair.client(number, GET)
        self.assertEqual(pair.last["waiting"], LIMITS.pool)
        self.assertTrue(pair.last["client 5"][0].startswith(b"HTTP/1.1 503"))

    def test_a_guest_that_takes_more_takes_who_waits(self) -> None:
        pair = self.pair()
        for number in range(4):
            pair.client(number, GET)
        pair.grant(3)
        self.assertEqual((pair.last["waiting"], pair.last["in flight"]), (1, 3))
        pair.grant(0)
        for number in range(1, 5):
            pair.answer(number)
        self.assertEqual(pair.stats["requests"], 4)

    def test_a_guest_that_dies_leaves_the_queue(self) -> None:
        pair = self.pair()
        for number in range(3):
            pair.client(number, GET)
        pair.lose_guest()
        self.assertEqual(pair.last["waiting"], 3)
        pair.wait(1.0)
        pair.wait(3.0)
        self.assertEqual(pair.last["waiting"], 0)

    def test_what_a_guest_refuses_goes_to_another_on_the_compiled_path(self) -> None:
        pair = self.pair(style="json")
        pair.join()
        pair.client(0, GET)
        self.assertTrue(pair.last["guest"])
        pair.wait(0.25)
        pair.give_up(1)
        self.assertIn(b"6:/x?y=1", pair.last["second"][0])
        pair.wait(0.125)
        pair.second(response(1))
        self.assertTrue(pair.last["client 0"][0].startswith(b"HTTP/1.1 200"))
        line = json.loads(pair.last["log"][0])
        self.assertEqual((line["attempts"], line["guest"], line["queued"]), (2, 0.375, 0.0))
        self.assertEqual(line["subscriber"], "vm:2")
        [[way]] = pair.last["ways"]
        self.assertEqual(way["tried"], ["vm:1"])
        self.assertEqual(pair.stats["requests"], 1)
        self.assertEqual(pair.stats["declined_answers"], 0)

    def test_what_a_dead_guest_had_goes_to_another(self) -> None:
        """What may be asked twice, that is; a POST may have been executed."""
        pair = self.pair(concurrency=0)
        for number, request in enumerate((GET, PUT, BODY, LARGE.replace(b"POST", b"PUT"))):
            pair.client(number, request)
        pair.join()
        pair.lose_guest()
        self.assertTrue(pair.last["client 2"][0].startswith(b"HTTP/1.1 502"))
        self.assertEqual(pair.last["waiting"], 2)
        for number in range(1, 4):
            pair.second(response(number))
        self.assertEqual(pair.stats["requests"], 3)
        self.assertEqual(pair.stats["declined_answers"], 1)

    def test_what_nobody_takes_waits_for_another_guest(self) -> None:
        pair = self.pair()
        pair.client(0, GET)
        pair.client(1, GET)
        pair.lose_guest()
        self.assertEqual(pair.last["waiting"], 2)
        pair.join()
        self.assertEqual(pair.last["waiting"], 1)
        pair.second(response(1))
        pair.second(response(2))
        self.assertEqual(pair.stats["requests"], 2)

    def test_what_is_refused_again_and_again_is_answered_so(self) -> None:
        pair = self.pair()
        pair.join()
        pair.client(0, GET)
        pair.give_up(1)
        pair.second(m.Abort(1, b"refused", b"no").encode())
        self.assertTrue(pair.last["client 0"][0].startswith(b"HTTP/1.1 503"))
