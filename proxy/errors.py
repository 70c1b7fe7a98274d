"""I am what can go wrong serving a client, and the errno and SQLSTATE it is told."""

from __future__ import annotations

from proxy.wire.framing import frame
from proxy.wire.packets import ErrPacket


class ProxyError(Exception):
    """A client cannot be served; the message is for the client."""

    errno = 1105
    sqlstate = "HY000"

    def __init__(self, message: str, *, errno: int | None = None, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if errno is not None:
            self.errno = errno
        if sqlstate is not None:
            self.sqlstate = sqlstate

    def packet(self, sequence: int = 1) -> bytes:
        """Return the error as a client is sent it."""
        return frame(ErrPacket(self.errno, self.sqlstate, self.message).build(), sequence)


class AccessDenied(ProxyError):
    """The user does not exist or the password is wrong; a client cannot tell which."""

    errno = 1045
    sqlstate = "28000"


class NoSuchBranch(ProxyError):
    """The login names a branch that is not there."""

    errno = 1049
    sqlstate = "42000"


class TooManyConnections(ProxyError):
    """This worker serves as many clients as it may."""

    errno = 1040
    sqlstate = "08004"


class Draining(ProxyError):
    """This worker is about to end."""

    errno = 1053
    sqlstate = "08S01"


class NotPassedOn(ProxyError):
    """A command we do not hand to the server."""

    errno = 1047
    sqlstate = "08S01"


class Malformed(ProxyError):
    """The client's bytes are not the protocol; the connection ends."""

    errno = 1835
    sqlstate = "HY000"


class BackendUnreachable(ProxyError):
    """The branch's server cannot be reached or does not let us in."""


class BackendLost(ProxyError):
    """The server went away while a statement was running on it."""

    sqlstate = "08S01"
