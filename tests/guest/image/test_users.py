"""Who a container's program runs as."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.image.rootfs import Rootfs
from guest.image.users import ProgramUser, UserError, find_user

PASSWD = b"""\
# a comment, and a line that is none
root:x:0:0:root:/root:/bin/sh
shop:x:1001:100:Shop:/srv/shop:/bin/false
1001x:x:7:7::/:
broken
nohome:x:5:5:::
"""
GROUP = b"root:x:0:\nusers:x:100:shop\nmail:x:8:shop,root\naudio:x:29:root,shopper,shop\n"


class UserTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Rootfs()
        self.root.put_file("etc/passwd", PASSWD)
        self.root.put_file("etc/group", GROUP)

    def test_table(self) -> None:
        shop = ProgramUser(1001, 100, (8, 29), "/srv/shop")
        for wanted, found in (
            ("", ProgramUser(0, 0, (8, 29), "/root")),
            ("root", ProgramUser(0, 0, (8, 29), "/root")),
            ("shop", shop),
            ("1001", shop),
            ("shop:mail", ProgramUser(1001, 8, (), "/srv/shop")),
            ("1001:55", ProgramUser(1001, 55, (), "/srv/shop")),
            ("4242", ProgramUser(4242, 0, (), "/")),
            ("4242:users", ProgramUser(4242, 100, (), "/")),
            ("shop:", shop),
            (":mail", ProgramUser(0, 8, (), "/root")),
            ("nohome", ProgramUser(5, 5, (), "/")),
        ):
            self.assertEqual(find_user(wanted, self.root), found, wanted)

    def test_without_files(self) -> None:
        self.assertEqual(find_user("", Rootfs()), ProgramUser(0, 0))
        self.assertEqual(find_user("65532:65532", Rootfs()), ProgramUser(65532, 65532))

    def test_refused(self) -> None:
        for wanted in ("none", "shop:none", "-1", "4294967295", "shop:4294967296", "\u0661"):
            self.assertRaises(UserError, find_user, wanted, self.root)

    def test_shown(self) -> None:
        self.assertEqual(str(ProgramUser(1, 2)), "1:2")
        self.assertEqual(str(ProgramUser(1, 2, (3, 4))), "1:2,3,4")
