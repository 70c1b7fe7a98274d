"""I am why a schema change was refused, failed or needs a human."""

from __future__ import annotations


class MigratorError(Exception):
    """A schema change cannot go on; `hint` says what the person can do about it.

    `code` is that of the lint rule it belongs to, empty when it belongs to none.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message


class Refused(MigratorError):
    """The change or the server is of a kind that is not migrated; nothing was touched."""


class DataConflict(MigratorError):
    """Rows of the table do not fit the new definition; `keys` names some of them."""

    def __init__(self, message: str, *, keys: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.keys = keys


class StreamBroken(MigratorError):
    """The binary log can no longer be followed without a gap."""


class LogGone(StreamBroken):
    """The server has deleted the part of its binary log that was still to be read."""


class SourceChanged(MigratorError):
    """Somebody else changed the definition of a table under migration."""


class NotNow(MigratorError):
    """An attempt was given up because the moment was wrong; a later one may succeed."""


class LostOwnership(MigratorError):
    """Another process has taken this operation over; this one must not write any more."""


class OwnershipUnknown(MigratorError):
    """The names on the server fit no step of ours: nothing may be retried until a person has looked."""


class WrongPhase(MigratorError):
    """The operation is not at a point where this can be asked of it."""
