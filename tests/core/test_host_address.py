"""Names and addresses of hosts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.host_address import check_name, parse_peer, split_address


class HostAddressTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """A host and a port, or none."""
        self.assertEqual(split_address("[2001:db8::1]:7443"), ("2001:db8::1", 7443))
        for port in 1, 80, 65535:
            self.assertEqual(split_address(f"kvm-2:{port}"), ("kvm-2", port))
        for address in (
            "kvm-2",
            ":80",
            "a:0",
            "a:65536",
            "a:b",
            "2001:db8::1:80",
            "a b:1",
            "a:1\n",
        ):
            self.assertRaises(ValueError, split_address, address)

    def test_names(self) -> None:
        """What a certificate can have, in lower case."""
        for name in ("kvm-2", "kvm-2.example", "a", "9" * 128):
            self.assertEqual(check_name(name), name)
        for name in ("", "KVM", "-a", "a-", "a/b", "a b", "a" * 129, "a\n"):
            self.assertRaises(ValueError, check_name, name)

    def test_peers(self) -> None:
        """A name, and where it is."""
        self.assertEqual(parse_peer("kvm-2=192.0.2.2:7443"), ("kvm-2", "192.0.2.2:7443"))
        for text in ("192.0.2.2:7443", "kvm-2=", "=a:1", "KVM=a:1", "kvm-2=a", "a=b=c:1"):
            self.assertRaises(ValueError, parse_peer, text)
