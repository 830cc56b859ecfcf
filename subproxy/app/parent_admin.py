"""The admin listener of a parent, which speaks for all of its workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from subproxy.admin.pages import Reply
from subproxy.admin.site import operations_site
from subproxy.app.admin import admin_guard, admin_service
from subproxy.app.listener import ListenerService
from subproxy.app.merged_admin import MergedAdmin
from subproxy.config.settings import Settings
from subproxy.config.sources import Sources
from subproxy.core.balancing.assigned import Assigned
from subproxy.workers.crew import Crew

if TYPE_CHECKING:
    from subproxy.app.cluster_hosting import ClusterHosting
    from subproxy.machines.manager import MachineManager


def parent_admin(
    reactor: Any,
    settings: Settings,
    uid: int | None,
    crew: Crew,
    ready: Callable[[], bool],
    reload: Callable[[], Deferred[Reply]],
    machines: Callable[[], MachineManager | None],
    assigned: Assigned,
    sources: Sources,
    hosts: ClusterHosting | None,
) -> ListenerService:
    """
    See above, and L{MergedAdmin} for what each is.

    @param uid: the user that the process is going to be; None: the one that it is.
    @raise SystemExit: it can't be had as it was asked for.
    """
    assert settings.admin is not None
    admin = MergedAdmin(crew, ready, reload, reactor, machines, assigned, sources, hosts)
    guard = admin_guard(settings, uid)
    return admin_service(reactor, settings.admin, operations_site(admin, guard, reactor))
