"""Settings as a configuration file has them: an example of each key, and values as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from subproxy.config.configuration import SECTIONS
from subproxy.config.listen import VsockListen
from subproxy.config.machine_keys import MACHINE_KEYS
from subproxy.config.setting import Choice, Octal, Setting, Text
from subproxy.config.site_keys import KEYS
from subproxy.machines.declaration import QEMU

EXAMPLES = {
    "http": "[8080]",
    "vsock": '["/run/subproxy/*.sock"]',
    "vsock_owner": '"libvirt-qemu"',
    "vsock_group": '"kvm"',
    "admin": '"/run/subproxy/admin.sock"',
    "admin_token": '"/run/subproxy/admin.token"',
    "admin_host": '["proxy.example"]',
    "https": "[443]",
    "certificates": '["/etc/subproxy/certificates"]',
    "acme_challenges": '["/var/www/certbot/.well-known/acme-challenge"]',
    "acme": '"https://acme-v02.api.letsencrypt.org/directory"',
    "acme_email": '"admin@blog.example"',
    "acme_profile": '"shortlived"',
    "acme_dns_hook": '"/etc/subproxy/dns-hook"',
    "peer_listen": '"tcp:7443:interface=192.0.2.1"',
    "peer_certificate": '"/etc/subproxy/host.pem"',
    "peer_ca": '"/etc/subproxy/peers.pem"',
    "peer": '["kvm-2=192.0.2.2:7443"]',
    "peer_address": '"192.0.2.1:7443"',
    "cluster": '["etcd:http://127.0.0.1:2379"]',
    "cluster_credentials": '"/etc/subproxy/etcd-user"',
    "cluster_ca": '"/etc/subproxy/etcd-ca.pem"',
    "policy": '"/etc/subproxy/policy.toml"',
    "trust": '["10.0.0.0/8", "unix"]',
    "proxy_protocol": '["10.0.0.0/8"]',
    "machine_files": '"/var/lib/subproxy/machines"',
    "machines_folder": '"/run/subproxy/machines"',
    "traces": "0.1",
}
"""A value of each setting that has no default, by the setting's name."""

SECTION_HELP = {
    "http": "Clients.",
    "tls": "Clients over TLS.",
    "guests": "Guests: where they dial in, how they are watched, and what waits for them.",
    "cluster": "Other hosts: who they are, and what is served there.",
    "admin": "Metrics, health, and the subproxy command.",
    "log": "What is written down.",
    "limits": "How much a client may send, and how long it may take.",
    "workers": "The process.",
}
"""What each section is about."""

HEAD = """\
# The configuration of subproxy: twistd -n subproxy --config=FILE
#
# What is commented out has the value that is there, or none if the text says so; the command
# line wins. `subproxy check FILE` checks it, `subproxy reload` puts in force what is marked
# (reload); all else needs a hand-over (SIGUSR2).
"""

POLICY = """
# Who may claim what. Without a [[guest]] any guest may claim any host and path, and a bare
# port of [http] listen is one of this machine alone. Reload.

# For every guest that has no number of its own.
# [default]
# routes = 1024          # registered at a time
# connections = 256      # open at a time, of every kind
# exchanges = 1024       # in flight at a time
# buffer = "16 MiB"      # held by the proxy
# registrations = 100    # a second
# tunnels = 1024         # open at a time, such as WebSockets
# upgrades = ["websocket"]    # protocols that they may change to
# passthrough = false    # whether they may have the TLS of clients as it is

# [[guest]]
# identity = "cid:10"    # or "path:/run/vms/blog.sock", or a list; * stands for any text
# hosts = ["blog.example", "*.blog.example"]
# paths = ["/"]
"""

SITES = """
# Rules for hosts and paths, as often as needed. The narrowest site that covers a request decides;
# what that does not say, the next wider one says. Reload.
"""

MACHINES = """
# Machines that the proxy starts when they are asked for, as often as needed.
"""

WIDTH = 98


def example(setting: Setting) -> str:
    """A value of the setting in TOML: its default, where there is one."""
    if setting.default is None:
        return EXAMPLES[setting.name]
    if isinstance(setting.kind, (Choice, Octal, Text)):
        return json.dumps(setting.default)
    return setting.default


def shown(setting: Setting, value: object) -> str:
    """A value that a setting has in TOML; C{none} for none."""
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(shown(setting, each) for each in value)}]"
    if isinstance(setting.kind, Octal):
        return f'"{value:o}"'
    if isinstance(value, VsockListen):
        value = value.value
    if isinstance(value, str):
        return _quoted(value)
    return str(value).lower().removesuffix(".0")


def commented_file() -> str:
    """A configuration file that has every key, commented out, with what it does."""
    parts = [HEAD]
    for name, rows in SECTIONS.items():
        parts.append(f"\n# {SECTION_HELP[name]}\n[{name}]\n")
        for each in rows.values():
            parts += ["\n", *_comment(about(each)), f"# {each.key} = {example(each)}\n"]
    return "".join((*parts, POLICY, SITES, *_site_keys(), MACHINES, *_machine_keys()))


def _site_keys() -> Iterator[str]:
    yield "\n# [[site]]\n"
    for each in KEYS:
        if each.name not in ("hosts", "paths"):
            yield "#\n"
            # Without links, which are the reference's.
            yield from _comment(re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", each.help))
        yield f"# {each.name} = {each.example}\n"


def _machine_keys() -> Iterator[str]:
    yield "\n# [[machine]]\n"
    for each in MACHINE_KEYS:
        yield "#\n"
        yield from _comment(each.help)
        of = "" if QEMU in each.vmms else f"({', '.join(each.vmms)}) "
        yield f"# {of}{each.name} = {each.example}\n"


def toml_value(value: object) -> str:
    """
    A value as it was read from TOML, in TOML again, in one line.

    @raise ValueError: it is None, which TOML has not.
    @raise RecursionError: it is nested too deep.
    """
    if value is None:
        raise ValueError("a value is null, which TOML has not")
    if isinstance(value, dict):
        pairs = [f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, str):
        return _quoted(value)
    return str(value).lower()


def _quoted(text: str) -> str:
    # JSON lets a DEL stand as it is, which TOML does not.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_key(key: str) -> str:
    """A key in TOML, whatever is in it."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def about(setting: Setting) -> str:
    """What a setting does, with what is not seen of its example."""
    notes = []
    if setting.default is None and "efault" not in setting.help:
        notes.append("default: none")
    if setting.reload:
        notes.append("reload")
    text = " ".join(setting.help.split())
    unit = setting.kind.unit
    if unit and unit.split()[0] not in text.lower():
        notes.insert(0, unit)
    return f"{text} ({'; '.join(notes)})" if notes else text


def _comment(text: str) -> Sequence[str]:
    lines: list[str] = []
    line = "#"
    for word in text.split(" "):
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(f"{line}\n")
            line = "#"
        line += f" {word}"
    return [*lines, f"{line}\n"]
