"""Tests of subproxy.core.access.epochs."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.epochs import FORGET, AcceptHello, Epochs, RefuseHello
from subproxy.core.balancing.member import Member
from tests.rigs.core_strategies import relaxed
from tests.rigs.examples import examples


def instance(
    name: bytes, *, identity: str = "vm", application: bytes = b"app", worker: int = 0
) -> Member:
    return Member(identity, application, name, now=0.0, worker=worker)


class ForgetTests(SynchronousTestCase):
    def test_started_anew(self) -> None:
        """After that a retired instance is as good as any; who is subscribed stays so."""
        epochs = Epochs()
        one, two = (Member("vm", b"app", each, now=0) for each in (b"one", b"two"))
        epochs.hello(one)
        epochs.hello(two)
        self.assertIsInstance(epochs.hello(one), RefuseHello)
        epochs.begin("vm", b"")
        found = epochs.hello(one)
        assert isinstance(found, AcceptHello)
        self.assertIs(found.replaced, two)
        epochs.gone(one, 1.0)
        epochs.begin("vm", b"")
        epochs.begin("nobody", b"")
        self.assertEqual(len(epochs), 0)
        self.assertEqual(epochs.expire(9999.0), 0)
        self.assertIsInstance(epochs.hello(two), AcceptHello)

    def test_what_a_run_is_called(self) -> None:
        epochs = Epochs()
        self.assertEqual(epochs.run("vm"), b"")
        epochs.begin("vm", b"first")
        epochs.begin("vm2", b"other")
        self.assertEqual((epochs.run("vm"), epochs.run("vm2")), (b"first", b"other"))
        epochs.begin("vm", b"second")
        self.assertEqual(epochs.run("vm"), b"second")
        epochs.begin("vm", b"")
        self.assertEqual((epochs.run("vm"), epochs.run("vm2")), (b"", b"other"))
        epochs.begin("vm", b"")

    def test_started_anew_while_one_of_two_is_there(self) -> None:
        """Of who is not there no instance is known any more; that of who is there still is."""
        epochs = Epochs()
        epochs.hello(instance(b"one"))
        gone = instance(b"one", worker=1)
        epochs.hello(gone)
        epochs.gone(gone, 1.0)
        epochs.begin("vm", b"run")
        for worker, back in ((1, AcceptHello), (0, RefuseHello)):
            self.assertIsInstance(epochs.hello(instance(b"two", worker=worker)), AcceptHello)
            self.assertIsInstance(epochs.hello(instance(b"one", worker=worker)), back)


class EpochTests(SynchronousTestCase):
    """C{Epochs.hello}."""

    def setUp(self) -> None:
        self.epochs = Epochs(lines=3, retired=2)

    def hello(self, member: Member) -> Member | None:
        decision = self.epochs.hello(member)
        self.assertIsInstance(decision, AcceptHello)
        assert isinstance(decision, AcceptHello)
        return decision.replaced

    def refused(self, member: Member) -> str:
        decision = self.epochs.hello(member)
        self.assertIsInstance(decision, RefuseHello)
        assert isinstance(decision, RefuseHello)
        self.assertTrue(decision.reason)
        return decision.code

    def test_the_first_replaces_nobody(self) -> None:
        self.assertIsNone(self.hello(instance(b"1")))

    def test_a_newer_instance_replaces_the_older_which_never_returns(self) -> None:
        old, new = instance(b"1"), instance(b"2")
        self.hello(old)
        self.assertIs(self.hello(new), old)
        self.assertEqual(self.refused(instance(b"1")), "replaced")
        self.epochs.gone(old, 1.0)
        self.epochs.gone(new, 2.0)
        self.assertEqual(self.refused(instance(b"1")), "replaced")
        self.assertIsNone(self.hello(instance(b"2")))

    def test_an_instance_that_was_gone_when_the_newer_came_never_returns_either(self) -> None:
        old = instance(b"1")
        self.hello(old)
        self.epochs.gone(old, 1.0)
        self.assertIsNone(self.hello(instance(b"2")))
        self.assertEqual(self.refused(instance(b"1")), "replaced")

    def test_the_same_instance_replaces_its_own_older_connection(self) -> None:
        first, second = instance(b"1"), instance(b"1")
        self.hello(first)
        self.assertIs(self.hello(second), first)
        self.epochs.gone(first, 1.0)
        self.assertIs(self.hello(instance(b"1")), second)

    def test_how_much_is_remembered(self) -> None:
        self.epochs = Epochs()
        for worker in range(256):
            self.hello(instance(b"1", worker=worker))
        self.assertEqual(self.refused(instance(b"1", worker=256)), "quota")
        for number in range(2, 1026):
            self.hello(instance(b"%d" % number))
        self.assertEqual(self.refused(instance(b"1")), "replaced")
        self.hello(instance(b"1026"))
        self.hello(instance(b"1"))

    def test_lines_are_apart(self) -> None:
        self.hello(instance(b"1"))
        self.assertIsNone(self.hello(instance(b"2", worker=1)))
        self.assertIsNone(self.hello(instance(b"2", application=b"other")))
        self.assertIsNone(self.hello(instance(b"2", identity="vm2")))
        self.assertIsNotNone(self.hello(instance(b"2")))
        self.assertIsNotNone(self.hello(instance(b"1", worker=1)))

    def test_retired_instances_are_bounded(self) -> None:
        for name in (b"1", b"2", b"3"):
            self.hello(instance(name))
        self.refused(instance(b"1"))
        self.refused(instance(b"2"))
        self.hello(instance(b"4"))
        self.refused(instance(b"3"))
        self.refused(instance(b"2"))
        self.hello(instance(b"1"))

    def test_a_new_line_retires_nobody(self) -> None:
        """So it pushes nobody out of what is remembered."""
        for name in (b"1", b"2", b"3"):
            self.hello(instance(name))
        self.hello(instance(b"1", worker=1))
        self.assertEqual(self.refused(instance(b"1")), "replaced")

    def test_lines_of_an_identity_are_bounded(self) -> None:
        members = [instance(b"1", worker=worker) for worker in range(3)]
        for member in members:
            self.hello(member)
        self.assertEqual(self.refused(instance(b"1", worker=3)), "quota")
        self.hello(instance(b"1", worker=3, identity="vm2"))
        self.hello(instance(b"1", worker=0))
        self.epochs.gone(members[1], 1.0)
        self.assertIsNone(self.hello(instance(b"1", worker=3)))
        self.assertEqual(self.refused(instance(b"1", worker=4)), "quota")

    def test_a_line_that_made_room_may_come_back_as_it_was(self) -> None:
        members = [instance(b"1", worker=worker) for worker in range(3)]
        for member in members:
            self.hello(member)
            self.epochs.gone(member, 1.0)
        self.hello(instance(b"1", worker=3))
        self.assertIsNone(self.hello(instance(b"1", worker=0)))

    def test_gone_without_hello(self) -> None:
        self.epochs.gone(instance(b"1"), 1.0)
        self.hello(instance(b"1"))
        self.epochs.gone(instance(b"1", worker=1), 1.0)
        self.assertEqual(len(self.epochs), 1)
        self.assertEqual(self.epochs.expire(FORGET * 9), 0)

    def test_quiet_identities_are_forgotten(self) -> None:
        first, second = instance(b"1"), instance(b"1", identity="vm2")
        self.hello(first)
        self.hello(second)
        self.hello(instance(b"2"))
        self.epochs.gone(second, 5.0)
        self.assertEqual(self.epochs.expire(5.0 + FORGET - 0.001), 0)
        self.assertEqual(self.epochs.expire(5.0 + FORGET), 1)
        self.assertEqual(len(self.epochs), 1)
        self.refused(instance(b"1"))

    def test_who_returns_is_not_forgotten(self) -> None:
        first, second = instance(b"1"), instance(b"1")
        self.hello(first)
        self.epochs.gone(first, 5.0)
        self.hello(second)
        self.assertEqual(self.epochs.expire(FORGET * 9), 0)
        self.epochs.gone(second, FORGET * 9)
        self.assertEqual(self.epochs.expire(FORGET * 10), 1)
        self.assertEqual(len(self.epochs), 0)

    def test_the_longest_quiet_are_forgotten_first(self) -> None:
        for number, at in ((1, 10.0), (2, 20.0), (3, 30.0)):
            member = instance(b"1", identity=f"vm{number}")
            self.hello(member)
            self.epochs.gone(member, at)
        self.assertEqual(self.epochs.expire(FORGET + 20.0), 2)


class EpochMachine(RuleBasedStateMachine):
    """One subscription a line, and no instance that was replaced ever again."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = Epochs()
        self.current: dict[tuple[str, int], Member] = {}
        self.latest: dict[tuple[str, int], bytes] = {}
        self.retired: set[tuple[str, int, bytes]] = set()
        self.members: list[Member] = []

    @rule(
        identity=st.sampled_from(["vm1", "vm2"]),
        worker=st.integers(0, 1),
        name=st.sampled_from([b"1", b"2", b"3", b"4"]),
    )
    def hello(self, identity: str, worker: int, name: bytes) -> None:
        member = instance(name, identity=identity, worker=worker)
        line = (identity, worker)
        decision = self.epochs.hello(member)
        if (*line, name) in self.retired:
            assert decision == RefuseHello(
                "replaced", "a newer instance has taken this one's place"
            )
            return
        assert decision == AcceptHello(self.current.get(line))
        latest = self.latest.get(line, name)
        if latest != name:
            self.retired.add((*line, latest))
        self.latest[line] = name
        self.current[line] = member
        self.members.append(member)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def gone(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        self.members.remove(member)
        self.epochs.gone(member, 1.0)
        line = (member.identity, member.worker)
        if self.current.get(line) is member:
            del self.current[line]

    @invariant()
    def nobody_is_both_current_and_retired(self) -> None:
        for (identity, worker), member in self.current.items():
            assert (identity, worker, member.instance) not in self.retired


EpochMachineTests = EpochMachine.TestCase
EpochMachineTests.settings = settings(relaxed, max_examples=examples(60))
