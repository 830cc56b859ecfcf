"""What the workers say, put together."""

from __future__ import annotations

import json
from typing import Any, cast

from prometheus_client import CollectorRegistry, generate_latest
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.admin.machines_page import NO_MACHINES
from subproxy.app.merged_admin import MergedAdmin, MergedCollector, merged_reloads
from subproxy.core.balancing.assigned import Assigned
from subproxy.machines.manager import MachineManager
from subproxy.workers.crew import Crew
from subproxy.workers.slots import Slots
from subproxy.workers.states import WorkerState
from tests.rigs.machine_fakes import FakeHost, FakeVmm


class FakeCrew:
    """Workers that answer what a test says."""

    def __init__(self, *answers: object) -> None:
        self.slots = Slots(len(answers))
        self.asked: list[tuple[Any, ...]] = []
        self.hangs = 0
        self._answers = answers
        self.serving = [
            self.slots.adopt(slot, slot + 1, WorkerState.SERVING, 0.0)
            for slot in range(len(answers))
        ]

    def pid(self, worker: Any) -> int:
        return 100 + worker.slot

    def ask(self, worker: Any, what: str, *about: str) -> Deferred[bytes]:
        self.asked.append((worker.slot, what, *about))
        found = self._answers[worker.slot]
        return succeed(found if isinstance(found, bytes) else json.dumps(found).encode())


def merged(what: str, *answers: object) -> Any:
    """The reply for all."""
    admin = MergedAdmin(cast("Crew", FakeCrew(*answers)), lambda: True, Deferred)
    found: list[Any] = []
    admin.reply(what).addCallback(found.append)
    return found[0]


class MachinesTests(SynchronousTestCase):
    def test_none(self) -> None:
        """Nobody keeps machines where none was ever declared."""
        admin = MergedAdmin(cast("Crew", FakeCrew()), lambda: True, Deferred)
        self.assertEqual(admin.reply("machines"), ({"error": NO_MACHINES}, 409))
        page = self.successResultOf(admin.metrics())
        self.assertNotIn(b"machine", page)

    def test_some(self) -> None:
        """Their manager is asked, and has numbers."""
        clock = Clock()
        manager = MachineManager(clock, "/run/m", 1, FakeHost(), lambda _: FakeVmm())
        crew = cast("Crew", FakeCrew())
        admin = MergedAdmin(crew, lambda: True, Deferred, clock, lambda: manager)
        self.assertEqual(admin.reply("machines"), ({"machines": []}, 200))
        self.assertIn(b"subproxy_machine_start_seconds", self.successResultOf(admin.metrics()))


def route(path: str, *subscribers: str, vacant: bool = False) -> dict[str, Any]:
    """A route of a worker."""
    return {
        "host": "a",
        "path": path,
        "vacant": vacant,
        "waiting": 1,
        "subscribers": list(subscribers),
    }


class MergedAdminTests(SynchronousTestCase):
    def test_routes(self) -> None:
        """Each once, in one order, with all who serve it."""
        one = {"routes": [route("/a/b", "x"), route("/a", "x"), route("/", vacant=True)]}
        two = {"routes": [route("/a/b", "x", "y"), route("/a/c", "z"), route("/", "z")]}
        (data, status) = merged("routes", [one, 200], [two, 200])
        self.assertEqual(status, 200)
        found = {each["path"]: each for each in data["routes"]}
        self.assertEqual(list(found), ["/a/b", "/a/c", "/a", "/"])
        self.assertEqual(found["/a/b"]["subscribers"], ["x", "y"])
        self.assertEqual(found["/a/b"]["waiting"], 2)
        self.assertFalse(found["/"]["vacant"])

    def test_subscribers(self) -> None:
        """Each says with which worker it is."""
        (data, _) = merged(
            "subscribers",
            [{"subscribers": [{"id": "b"}]}, 200],
            b"",
            [{"subscribers": [{"id": "a"}, {"id": "b"}]}, 200],
        )
        found = [(each["id"], each["process"]) for each in data["subscribers"]]
        self.assertEqual(found, [("a", 2), ("b", 0), ("b", 2)])

    def test_drain(self) -> None:
        """Found by one is found; by none is not."""
        good, bad = [{"subscribers": ["a"]}, 200], [{"error": "nobody"}, 404]
        self.assertEqual(merged("drain", bad, good, good), ({"subscribers": ["a"]}, 200))
        self.assertEqual(merged("drain", bad, bad), ({"error": "nobody"}, 404))

    def test_hosts_alike(self) -> None:
        """Workers of which each waits for as many answers: for all of these together."""
        host = {
            "host": "kvm-2",
            "address": "192.0.2.2:7443",
            "asks": "connected",
            "asked": "ready",
            "routes": 1,
            "latency": 0.001,
            "in_flight": 2,
        }
        (data, _) = merged("hosts", [{"hosts": [host]}, 200], [{"hosts": [host]}, 200])
        self.assertEqual(data["hosts"], [{**host, "in_flight": 4}])

    def test_nobody_answers(self) -> None:
        """That is said, too."""
        self.assertEqual(merged("routes", b"", b"")[1], 503)
        self.assertEqual(merged_reloads([b""])[1], 503)

    def test_explain(self) -> None:
        """By a worker that knows the route, with the subscribers of all."""
        nothing = {"route": None, "subscribers": [], "reason": "no"}
        one = {"route": route("/", "x"), "subscribers": [{"id": "x"}], "reason": "yes"}
        two = {"route": route("/", "y"), "subscribers": [{"id": "y"}], "reason": "yes"}
        (data, _) = merged("explain", [nothing, 200], [one, 200], [two, 200])
        self.assertEqual(data["reason"], "yes")
        self.assertEqual([each["process"] for each in data["subscribers"]], [1, 2])
        self.assertEqual(data["route"]["subscribers"], ["x", "y"])

    def test_weight(self) -> None:
        """Who has it in one worker has it in all, also in those that are made later."""
        found, nobody = [{"subscribers": ["cid:1"]}, 200], [{"error": "nobody"}, 404]
        assigned = Assigned()
        crew = FakeCrew(nobody, found)
        admin = MergedAdmin(cast("Crew", crew), lambda: True, Deferred, assigned=assigned)
        reply = admin.reply("weight", "10 cid:1")
        assert isinstance(reply, Deferred)
        self.assertEqual(self.successResultOf(reply), ({"subscribers": ["cid:1"]}, 200))
        self.assertEqual(assigned.weights.given, {"cid:1": 0.1})
        told = [(slot, about) for slot, what, *about in crew.asked if what == "assigned"]
        plain = ['{"weights": {"cid:1": 0.1}, "drained": {}}']
        self.assertEqual(told, [(0, plain), (1, plain)])
        admin.reply("weight", " cid:1")
        self.assertEqual(assigned.weights.given, {})

    def test_drained(self) -> None:
        """Who dials another worker next is drained there as well."""
        found, nobody = [{"subscribers": ["cid:1"]}, 200], [{"error": "nobody"}, 404]
        assigned = Assigned()
        crew = FakeCrew(nobody, found)
        admin = MergedAdmin(cast("Crew", crew), lambda: True, Deferred, assigned=assigned)
        for what, plain in ("drain", {"cid:1": True}), ("undrain", {}):
            reply = admin.reply(what, "cid:1")
            assert isinstance(reply, Deferred)
            self.assertEqual(self.successResultOf(reply), ({"subscribers": ["cid:1"]}, 200))
            self.assertEqual(assigned.plain["drained"], plain)
            told = [json.loads(*about) for _, what, *about in crew.asked if what == "assigned"]
            self.assertEqual([each["drained"] for each in told[-2:]], [plain, plain])

    def test_the_weight_of_nobody(self) -> None:
        nobody = [{"error": "nobody"}, 404]
        assigned = Assigned()
        crew = FakeCrew(nobody, nobody)
        admin = MergedAdmin(cast("Crew", crew), lambda: True, Deferred, assigned=assigned)
        reply = admin.reply("weight", "10 cid:1")
        assert isinstance(reply, Deferred)
        self.assertEqual(self.successResultOf(reply)[1], 404)
        self.assertEqual(assigned.weights.given, {})

    def test_request(self) -> None:
        """Whoever remembers it says which worker that is."""
        nobody = [{"error": "not remembered"}, 404]
        (data, status) = merged("request", nobody, [{"requests": [{"id": "a"}]}, 200])
        self.assertEqual((data, status), ({"requests": [{"id": "a", "process": 1}]}, 200))
        self.assertEqual(merged("request", nobody, nobody)[1], 404)

    def test_overview(self) -> None:
        """Numbers are added, each subscriber says where it is, and the workers are told."""

        def overview(requests: int, *subscribers: str) -> list[Any]:
            counts = {"requests": requests, "errors": 1, "answers": 1, "first_byte": 0.5}
            data = {
                "at": 5.0,
                "totals": {**counts, "tunnels": 2},
                "routes": [{**route("/", *subscribers), **counts}],
                "routes_in_all": 1,
                "subscribers": [{"id": each} for each in subscribers],
                "subscribers_in_all": len(subscribers),
                "workers": [],
                "hosts": [],
            }
            return [data, 200]

        (data, status) = merged("overview", overview(3, "a"), b"", overview(4, "b", "a"))
        self.assertEqual(status, 200)
        self.assertEqual((data["totals"]["requests"], data["totals"]["tunnels"]), (7, 4))
        (found,) = data["routes"]
        self.assertEqual((found["requests"], found["first_byte"]), (7, 1.0))
        self.assertEqual(found["subscribers"], ["a", "b"])
        listed = [(each["id"], each["process"]) for each in data["subscribers"]]
        self.assertEqual(listed, [("a", 0), ("a", 2), ("b", 2)])
        self.assertEqual((data["routes_in_all"], data["subscribers_in_all"]), (1, 3))
        self.assertEqual([each["worker"] for each in data["workers"]], [0, 1, 2])
        self.assertEqual({each["state"] for each in data["workers"]}, {"serving"})

    def test_reloads(self) -> None:
        """What one could not take, is told, once."""
        good = {"problems": [], "applied": ["a"], "hand_over": []}
        bad = {"error": "nothing has changed", "problems": ["p"], "applied": [], "hand_over": []}
        data, status = merged_reloads([json.dumps([each, 200]).encode() for each in (good, good)])
        self.assertEqual((data["applied"], status), (["a"], 200))
        data, status = merged_reloads([json.dumps([bad, 422]).encode()] * 2)
        self.assertEqual((data["problems"], status), (["p"], 422))

    def test_metrics(self) -> None:
        """Numbers are added; of some gauges the greatest counts."""
        page = (
            "# TYPE subproxy_requests_total counter\n"
            'subproxy_requests_total{{code="200"}} {}\n'
            "# TYPE subproxy_routes gauge\nsubproxy_routes {}\n"
            "# TYPE subproxy_request_seconds histogram\n"
            'subproxy_request_seconds_bucket{{le="1.0"}} {}\n'
            'subproxy_request_seconds_bucket{{le="+Inf"}} {}\n'
        )
        registry = CollectorRegistry()
        registry.register(MergedCollector([page.format(2, 7, 1, 2), page.format(3, 5, 0, 4)]))
        found = generate_latest(registry).decode()
        self.assertIn('subproxy_requests_total{code="200"} 5.0', found)
        self.assertIn("subproxy_routes 7.0", found)
        self.assertIn('subproxy_request_seconds_bucket{le="+Inf"} 6.0', found)
