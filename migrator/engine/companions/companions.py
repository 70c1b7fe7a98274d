"""I am what belongs to a table beside its rows and must go with its name: triggers and foreign keys."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.database import Connection, quote_name

_MARK = re.compile(r"(__hg[0-9]+)_(?:new|old)$")


@dataclass(frozen=True, slots=True)
class Names:
    """The tables of a swap, all in one schema: `live` gives its name to `incoming` and takes `outgoing`'s."""

    schema: str
    live: str
    incoming: str
    outgoing: str

    @property
    def mark(self) -> str:
        """The suffix of whatever must have another name while both tables are there."""
        found = _MARK.search(self.incoming) or _MARK.search(self.outgoing)
        return found[1] if found else "__hg"

    def quoted(self, table: str) -> str:
        """Return a table's qualified name for SQL text."""
        return f"{quote_name(self.schema)}.{quote_name(table)}"


class Companion(Protocol):
    """One kind of them, for one swap in one direction.

    Whatever happens after `before_swap`, one of two follows, in this process or the next: `abandon` when the
    swap did not happen, before anybody writes to the incoming table again; `settle` when it did, before
    anybody writes to the outgoing one. Both can be called at any time and again. `link` is a connection with
    the engine's session settings, on which nobody else's work can come in between.
    """

    def tables(self) -> Sequence[tuple[str, str]]:
        """Further tables, as (schema, name), that LOCK TABLES must list with WRITE and the gate must hold."""

    async def prepare(self, link: Connection) -> None:
        """Check, before anything is held, that the swap can take them along; raises NotNow or Refused."""

    async def before_swap(self, lock: Connection) -> None:
        """Put them on the incoming table: under LOCK TABLES, after the last row, before RENAME."""

    async def after_swap(self, lock: Connection) -> None:
        """Take them off the outgoing table; MySQL: under the lock still, MariaDB: right after RENAME."""

    async def abandon(self, link: Connection) -> None:
        """Take back what `before_swap` did, as the swap did not happen."""

    async def settle(self, link: Connection) -> None:
        """Bring about what `after_swap` would have, as the swap happened."""

    async def close(self) -> None:
        """The attempt is over, whatever came of it: hold nothing any more."""

    async def finalize(self, link: Connection) -> None:
        """Give them their original names; the table that went out must not be there any more."""
