"""What is kept between two starts: the account, and certificates with their keys, for us alone."""

from __future__ import annotations

import os
from typing import Final

from subproxy.files.replaced_file import replace_whole

CERTIFICATES: Final = "certificates"
"""The folder of certificates, in ours."""

ACCOUNTS: Final = "accounts"

CHALLENGES: Final = "challenges"

_MODE: Final = 0o700


class AcmeFiles:
    """
    Our folder.

    @param path: for nobody but us.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)

    @property
    def certificates(self) -> str:
        """Where the certificates are: one file a name, with chain and key."""
        return os.path.join(self._path, CERTIFICATES)

    @property
    def challenges(self) -> str:
        """Where answers to challenges are while an authority asks, for all workers."""
        return os.path.join(self._path, CHALLENGES)

    def prepare(self, uid: int | None) -> None:
        """
        Make the folders, for the user that we are going to be.

        @raise OSError: they cannot be made.
        """
        accounts = os.path.join(self._path, ACCOUNTS)
        for path in (self._path, self.certificates, accounts, self.challenges):
            os.makedirs(path, _MODE, exist_ok=True)
            if uid is not None and os.geteuid() == 0:
                os.chown(path, uid, -1)

    def certificate_path(self, name: str) -> str:
        """The file of the certificate for C{name}."""
        return os.path.join(self.certificates, f"{name.replace('*', '_')}.pem")

    def account(self, authority: str) -> bytes | None:
        """
        The key of our account, in PEM; None if there is none yet.

        @raise OSError: it cannot be read.
        """
        try:
            with open(self.account_path(authority), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def keep_account(self, authority: str, key: bytes) -> None:
        """
        Keep the key of an account.

        @raise OSError: it cannot be written.
        """
        replace_whole(self.account_path(authority), key)

    def keep_certificate(self, name: str, pem: bytes) -> None:
        """
        Keep a certificate, in the place of the one before.

        @param pem: certificate, chain and key.
        @raise OSError: it cannot be written.
        """
        replace_whole(self.certificate_path(name), pem)

    def account_path(self, authority: str) -> str:
        """The file of the key of our account."""
        name = "".join(each if each.isalnum() or each in ".-" else "_" for each in authority)
        return os.path.join(self._path, ACCOUNTS, f"{name}.pem")
