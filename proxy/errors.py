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

    def unsolicited(self) -> bytes:
        """Return the error in place of a greeting, when nothing is agreed on yet: it has no SQLSTATE."""
        return frame(ErrPacket(self.errno, "", self.message).build())


class AccessDenied(ProxyError):
    """Unknown, wrong password, expired or from elsewhere; a client cannot tell which.

    `reason` is for our log only.
    """

    errno = 1045
    sqlstate = "28000"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class NoSuchBranch(ProxyError):
    """The login names a branch that is not there."""

    errno = 1049
    sqlstate = "42000"


class TooManyConnections(ProxyError):
    """This worker serves as many clients as it may, or has no backend left for a statement."""

    errno = 1040
    sqlstate = "08004"


class TooManyUserConnections(ProxyError):
    """The user has as many connections as one user may have."""

    errno = 1203
    sqlstate = "42000"


class HostBlocked(ProxyError):
    """Too many logins from this address failed lately."""

    errno = 1129


class BadHandshake(ProxyError):
    """The client's part of the login is not the protocol."""

    errno = 1043
    sqlstate = "08S01"


class ClientUnsupported(ProxyError):
    """The client does not know authentication plugins."""

    errno = 1251
    sqlstate = "08004"


class InsecureTransport(ProxyError):
    """The branch wants TLS, and the client came without."""

    errno = 3159


class Draining(ProxyError):
    """This worker is about to end."""

    errno = 1053
    sqlstate = "08S01"


class NotPassedOn(ProxyError):
    """A command we do not hand to the server."""

    errno = 1047
    sqlstate = "08S01"


class Malformed(ProxyError):
    """A command is too short, or too long, for what it is; the session goes on."""

    errno = 1835
    sqlstate = "HY000"


class OutOfOrder(ProxyError):
    """A packet has another number than its turn gives it; the connection ends."""

    errno = 1156
    sqlstate = "08S01"


class PacketTooLarge(ProxyError):
    """A packet is longer than clients may send; the connection ends."""

    errno = 1153
    sqlstate = "08S01"

    def __init__(self) -> None:
        super().__init__("Got a packet bigger than 'max_allowed_packet' bytes")


class ClientTimeout(ProxyError):
    """The client stopped in the middle of something."""

    errno = 1159
    sqlstate = "08S01"


class Interrupted(ProxyError):
    """Somebody ended the statement."""

    errno = 1317
    sqlstate = "70100"


class UnknownStatement(ProxyError):
    """A client means a prepared statement that it does not have."""

    errno = 1243


class BackendUnreachable(ProxyError):
    """The branch's server cannot be reached or does not let us in."""


class BackendLost(ProxyError):
    """The server went away while a statement was running on it."""

    sqlstate = "08S01"
