"""I am what can be wrong with a schema: text we cannot print back, servers that differ, proofs that fail."""

from __future__ import annotations


class SchemaError(Exception):
    """Something about a schema stops us; `hint` says what to do about it (may be empty)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class NotCanonical(SchemaError):
    """A definition holds something we do not know, or would not print back identically."""


class ReadFailed(SchemaError):
    """A definition could not be read: usually a missing right of the reading account."""


class SchemaMoved(ReadFailed):
    """Somebody changed the schema while it was read."""


class CloneFailed(SchemaError):
    """A server refused one of another server's own definitions."""


class ProofFailed(SchemaError):
    """A plan did not do on the scratch server what it should.

    `statement` is what was run last and `server_error` what the server said; it is empty when every statement
    ran but the tables read back were not the expected ones. `table` is the table it was about, if known.
    """

    def __init__(
        self, statement: str, server_error: str, message: str, hint: str = "", *, table: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.statement = statement
        self.table = table
        self.server_error = server_error
