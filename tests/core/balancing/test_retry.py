"""Tests of subproxy.core.balancing.retry."""

from __future__ import annotations

from math import exp
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.retry import (
    IDEMPOTENT,
    MAX_ATTEMPTS,
    MIN_RATE,
    RATIO,
    SAFE,
    WINDOW,
    Progress,
    RetryBudget,
    RetryDecision,
    decide,
)
from tests.rigs.core_strategies import relaxed


def verdict(
    method: bytes = b"GET", progress: Progress = Progress.SENT, **other: Any
) -> RetryDecision:
    given_ = {"body_held": True, "attempts": 1, "budget": RetryBudget(0.0), "now": 0.0} | other
    return decide(method, progress, **given_)


class DecideTests(SynchronousTestCase):
    """C{decide}."""

    def test_the_table_is_total(self) -> None:
        self.assertEqual(set(SAFE), set(Progress))
        for row in SAFE.values():
            self.assertEqual(set(row), {True, False})

    def test_each_decision_has_one_name(self) -> None:
        """They are counted by it."""
        for kind in RetryDecision, Progress:
            self.assertEqual([each.name for each in kind], list(kind.__members__))

    def test_defaults(self) -> None:
        self.assertEqual((MAX_ATTEMPTS, RATIO, MIN_RATE, WINDOW), (3, 0.2, 10.0, 10.0))

    def test_what_was_not_sent_moves_whatever_the_method(self) -> None:
        for method in (b"GET", b"POST", b"PATCH", b"BREW"):
            self.assertIs(verdict(method, Progress.NOT_SENT), RetryDecision.RETRY)

    def test_what_was_sent_moves_if_the_method_is_idempotent(self) -> None:
        for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"):
            self.assertIs(verdict(method), RetryDecision.RETRY, method)
        for method in (b"POST", b"PATCH", b"CONNECT", b"get", b"BREW", b""):
            self.assertIs(verdict(method), RetryDecision.UNSAFE, method)

    def test_nothing_moves_once_the_client_has_seen_a_response(self) -> None:
        for method in (b"GET", b"POST"):
            self.assertIs(verdict(method, Progress.RESPONDING), RetryDecision.RESPONDING)

    def test_somebody_must_be_there(self) -> None:
        """Else it is not paid for."""
        budget = RetryBudget(0.0)
        before = budget.balance(0.0)
        self.assertIs(verdict(taker=False, budget=budget), RetryDecision.NOBODY)
        self.assertIs(verdict(b"POST", taker=False, budget=budget), RetryDecision.UNSAFE)
        self.assertEqual(budget.balance(0.0), before)

    def test_the_body_must_be_held(self) -> None:
        for progress in (Progress.NOT_SENT, Progress.SENT):
            self.assertIs(verdict(b"PUT", progress, body_held=False), RetryDecision.BODY_GONE)

    def test_attempts(self) -> None:
        self.assertIs(verdict(attempts=MAX_ATTEMPTS - 1), RetryDecision.RETRY)
        self.assertIs(verdict(attempts=MAX_ATTEMPTS), RetryDecision.ATTEMPTS)
        self.assertIs(verdict(attempts=1, max_attempts=1), RetryDecision.ATTEMPTS)

    def test_the_budget_pays_for_retries_alone(self) -> None:
        budget = RetryBudget(0.0, ratio=0.0, min_rate=0.1)
        self.assertIs(verdict(b"POST", budget=budget), RetryDecision.UNSAFE)
        self.assertIs(verdict(body_held=False, budget=budget), RetryDecision.BODY_GONE)
        self.assertIs(verdict(attempts=9, budget=budget), RetryDecision.ATTEMPTS)
        self.assertIs(verdict(budget=budget), RetryDecision.RETRY)
        self.assertIs(verdict(budget=budget), RetryDecision.BUDGET)

    @given(
        st.sampled_from([*IDEMPOTENT, b"POST", b"PATCH"]),
        st.lists(st.sampled_from(Progress), max_size=20),
        st.booleans(),
    )
    @relaxed
    def test_a_post_is_never_executed_twice(
        self, method: bytes, failures: list[Progress], body_held: bool
    ) -> None:
        budget = RetryBudget(0.0)
        executed = attempts = 0
        for progress in failures:
            attempts += 1
            executed += progress is not Progress.NOT_SENT
            made = decide(
                method, progress, body_held=body_held, attempts=attempts, budget=budget, now=0.0
            )
            if made is not RetryDecision.RETRY:
                break
        self.assertLessEqual(attempts, MAX_ATTEMPTS)
        if method not in IDEMPOTENT:
            self.assertLessEqual(executed, 1)


class RetryBudgetTests(SynchronousTestCase):
    """C{RetryBudget}."""

    def spend(self, budget: RetryBudget, now: float) -> int:
        spent = 0
        while budget.withdraw(now):
            spent += 1
        return spent

    def test_it_begins_with_the_minimum_of_its_window(self) -> None:
        self.assertEqual(self.spend(RetryBudget(5.0), 5.0), int(MIN_RATE * WINDOW))

    def test_requests_buy_retries(self) -> None:
        budget = RetryBudget(0.0, min_rate=0.0)
        self.assertFalse(budget.withdraw(0.0))
        budget.requests += 100
        self.assertEqual(budget.balance(0.0), 100 * RATIO)
        self.assertEqual(budget.requests, 0)
        self.assertEqual(self.spend(budget, 0.0), 20)

    def test_a_steady_pool_has_the_deposits_of_a_window(self) -> None:
        budget = RetryBudget(0.0)
        for second in range(1, 100):
            budget.requests += 1000
            budget.balance(float(second))
        self.assertAlmostEqual(budget.balance(99.0), (1000 * RATIO + MIN_RATE) * WINDOW, places=0)

    def test_how_often_it_is_settled_makes_no_difference(self) -> None:
        once, often = RetryBudget(0.0), RetryBudget(0.0)
        for second in range(1, 11):
            once.requests += 50
            often.requests += 50
            often.balance(float(second))
        self.assertAlmostEqual(once.balance(10.0), often.balance(10.0))

    def test_no_span_of_time_is_too_short(self) -> None:
        budget = RetryBudget(0.0, min_rate=0.0)
        budget.requests += 10
        self.assertEqual(budget.balance(2.3e-313), 10 * RATIO)

    def test_it_decays(self) -> None:
        budget = RetryBudget(0.0, min_rate=0.0)
        budget.requests += 500
        budget.balance(0.0)
        self.assertAlmostEqual(budget.balance(WINDOW), 500 * RATIO * exp(-1))

    def test_spent_it_comes_back_by_the_minimum_rate(self) -> None:
        budget = RetryBudget(0.0)
        self.spend(budget, 0.0)
        self.assertEqual(self.spend(budget, 1.0), 9)
        self.assertFalse(budget.withdraw(0.5))

    def test_bad_numbers(self) -> None:
        self.assertRaises(ValueError, RetryBudget, 0.0, ratio=-0.1)
        self.assertRaises(ValueError, RetryBudget, 0.0, min_rate=-1.0)
        self.assertRaises(ValueError, RetryBudget, 0.0, window=0.0)

    @given(st.lists(st.tuples(st.floats(0.0, 5.0), st.integers(0, 50), st.integers(0, 50))))
    @relaxed
    def test_retries_stay_within_the_ratio_and_the_minimum(
        self, turns: list[tuple[float, int, int]]
    ) -> None:
        budget = RetryBudget(0.0)
        now = 0.0
        requests = retries = 0
        for elapsed, sent, failed in turns:
            now += elapsed
            requests += sent
            budget.requests += sent
            retries += sum(budget.withdraw(now) for _ in range(failed))
            self.assertLessEqual(retries, requests * RATIO + MIN_RATE * (now + WINDOW) + 1e-6)
