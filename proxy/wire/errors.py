"""I am what can be wrong with bytes, and whose fault it is."""

from __future__ import annotations


class WireError(Exception):
    """Something about the protocol went wrong."""


class RemoteError(WireError):
    """The peer sent bytes that are not the protocol; its connection cannot be used further."""


class LocalError(WireError):
    """We asked for something the protocol cannot express or the negotiated capabilities do not allow."""


class ServerRefused(WireError):
    """The server answered with an ERR packet.

    `sqlstate` is empty when the packet had none, as before the handshake.
    """

    def __init__(self, errno: int, sqlstate: str, message: str) -> None:
        super().__init__(f"{message} (error {errno})")
        self.errno = errno
        self.sqlstate = sqlstate
        self.message = message
