"""ACME as an operator asked for it."""

from __future__ import annotations

from random import Random
from typing import Any

from subproxy.acme.authority import Authority
from subproxy.acme.challenge_answers import ChallengeAnswers, ChallengeFiles
from subproxy.acme.dns_hook import DnsHook
from subproxy.acme.files import AcmeFiles
from subproxy.acme.service import AcmeService, Covering
from subproxy.acme.wanted import wanted_names
from subproxy.app.challenge_folder import ChallengeFolder
from subproxy.app.tls import TlsSetup
from subproxy.config.settings import Settings
from subproxy.core.dispatcher import Dispatcher
from subproxy.frontend.tls.certificate import Certificate
from subproxy.process.startup import fail
from subproxy.subscription.registrar import Registrar


def build_acme(
    clock: Any,
    settings: Settings,
    tls: TlsSetup,
    dispatcher: Dispatcher,
    registrar: Registrar,
    worker: int | None = None,
) -> AcmeService | None:
    """
    What orders certificates; None if another worker does.

    @param worker: which worker this is; None: the one process that there is. The first orders, and
        all answer the challenges, which come to whichever the kernel likes.
    @raise SystemExit: what it is made of is not installed.
    """
    try:
        import acme  # noqa: F401
    except ImportError:
        fail("--acme wants the package acme: pip install 'subscription-proxy-vsock[acme]'")
    assert settings.acme is not None
    files = AcmeFiles(settings.acme_folder)
    tokens: ChallengeAnswers
    if worker is None:
        known: dict[bytes, bytes] = {}
        tokens = known
        dispatcher.challenges.append(known.get)
    else:
        dispatcher.challenges.append(ChallengeFolder(files.challenges).find)
        if worker:
            return None
        tokens = ChallengeFiles(files.challenges)
    hook = None if settings.acme_dns_hook is None else DnsHook(settings.acme_dns_hook)
    email, profile = settings.acme_email or "", settings.acme_profile or ""
    authority = Authority(settings.acme, email, files, tokens, hook, profile)
    made = AcmeService(
        clock,
        tls.certificates.now,
        authority,
        files,
        lambda: wanted_names(
            registrar.policy,
            registrar.registry.pools(),
            hook is not None,
            dispatcher.router.sites,
        ),
        covering(tls),
        Random().random,
    )
    tls.orders = made.orders
    return made


def acme_folder(settings: Settings, uid: int | None) -> str:
    """
    Where the certificates are that are ordered.

    @param uid: the user that the process is going to be; None: the one that it is.
    @raise SystemExit: it cannot be made.
    """
    files = AcmeFiles(settings.acme_folder)
    try:
        files.prepare(uid)
    except OSError as error:
        fail(f"--acme-folder={settings.acme_folder}: {error.filename}: {error.strerror}")
    return files.certificates


def covering(tls: TlsSetup) -> Covering:
    """What says which valid certificate is shown for a name, and whether it is that of a file."""

    def find(name: str, path: str) -> tuple[bool, Certificate] | None:
        service = tls.certificates
        wanted = name.encode("ascii")
        found = service.find(wanted)
        if found is None or not found.names.covers(wanted) or not found.is_valid(service.now()):
            return None
        held = service.store.held.get(path)
        return held is not None and held.certificate is found, found

    return find
