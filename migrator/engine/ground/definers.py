"""I say whom a view, trigger, routine or event belongs to once a deployment has made or changed it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

_PART = re.compile(r"`((?:[^`]|``)*)`")


@dataclass(frozen=True, slots=True)
class Definers:
    """`new` is the account for what is new, quoted as `user`@`host`; '' is who migrates.

    What is changed comes from whoever may change a branch, and runs with its definer's rights: it belongs to
    `new`, too, unless the account it belonged to matches one of the patterns in `trusted` (user@host with *
    and ?).
    """

    new: str = ""
    trusted: tuple[str, ...] = ()

    def of(self, former: str | None) -> str:
        """Return the definer, quoted; `former` is that of what is there now, None when nothing is."""
        if former is None:
            return self.new
        account = "@".join(part.replace("``", "`") for part in _PART.findall(former))
        if not self.new or any(fnmatchcase(account, pattern) for pattern in self.trusted):
            return former
        return self.new


MIGRATING = Definers()
"""What is new belongs to who migrates."""
