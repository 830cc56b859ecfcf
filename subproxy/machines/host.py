"""What keeps machines needs of the proxy round it."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred


class InstanceHost(Protocol):
    """What a manager needs of the proxy."""

    def listen(self, device: str, user: str, run: str) -> Deferred[None]:
        """
        Listen for the guest whose device that is; C{user} runs its VMM.

        @param run: what this run of it is called: guests are told, and so learn that they go on
            from a snapshot.

        Fails with an exception whose text is for a person.
        """

    def stop_listening(self, device: str) -> Deferred[None]:
        """Listen for it no more."""

    def drain(self, identity: str) -> Deferred[None]:
        """Let all workers give it nothing new; fires when they know."""

    def undrain(self, identity: str) -> None:
        """Let them use it again."""

    def status(self, name: str, up: bool, refused: float) -> None:
        """Tell them how a machine is."""
