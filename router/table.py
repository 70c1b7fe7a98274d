"""I am one immutable routing table: given a login I answer a Route, or exactly why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from router.errors import UnknownBranch, UnknownUser
from router.model import Branch, Route, User

REPLICA_SUFFIX: Final = "|replica"
"""What a user adds to the login name to read from a replica."""
REPLICA_DATABASE: Final = "@replica"
"""The name of the default database that means the same."""


def expired(user: User, now_s: float) -> bool:
    """Say whether a user's time is over, at this time.time()."""
    return user.expires_at_s is not None and now_s >= user.expires_at_s


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """Who may log in, and where to.

    `greeting` is the server version told to clients before they say who they are.
    """

    greeting: str = "9.7.0-headgate"
    users: Mapping[str, User] = field(default_factory=dict)
    branches: Mapping[tuple[str, str], Branch] = field(default_factory=dict)

    @classmethod
    def of(cls, greeting: str, users: Iterable[User], branches: Iterable[Branch]) -> RoutingTable:
        """Make a table from its rows."""
        return cls(
            greeting,
            {user.name: user for user in users},
            {(branch.database, branch.name): branch for branch in branches},
        )

    def find(self, login: str) -> tuple[User, str | None]:
        """Return the user a login name means, and the branch it asks for by a suffix.

        An exact user name comes first; then `name.branch`, then `name.database.branch`, split at the last
        dots; each may end with `|replica`. Raises UnknownUser.
        """
        if login not in self.users:
            login = login.removesuffix(REPLICA_SUFFIX)
        user = self.users.get(login)
        if user:
            return user, None
        name, dot, branch = login.rpartition(".")
        user = self.users.get(name) if dot else None
        if user:
            return user, branch
        name, dot, database = name.rpartition(".")
        user = self.users.get(name) if dot else None
        if user and user.database == database:
            return user, branch
        raise UnknownUser(f"no user is called {login!r}")

    def route(self, login: str, database: str = "") -> Route:
        """Return where a login that asks for a database goes. Raises UnknownUser or UnknownBranch.

        It reads from a replica when the user always does, or the login or the database ask for it.
        """
        user, wanted = self.find(login)
        by_name = login not in self.users and login.endswith(REPLICA_SUFFIX)
        replica = user.replica or by_name or database == REPLICA_DATABASE
        name = user.branch if wanted is None else wanted
        if wanted is not None and user.branch and wanted != user.branch:
            raise UnknownBranch(
                f"user {user.name!r} belongs to branch {user.branch!r} of database {user.database!r} and "
                f"cannot reach branch {wanted!r}: ask for a user of that branch with "
                f"'headgate password create {user.database} {wanted}'"
            )
        if name is None:
            return Route(user, self._production(user.database), replica)
        branch = self.branches.get((user.database, name))
        if branch is None:
            raise UnknownBranch(
                f"database {user.database!r} has no branch {name!r}: "
                f"'headgate branch list {user.database}' shows those there are"
            )
        return Route(user, branch, replica)

    def _production(self, database: str) -> Branch:
        found = [each for each in self.branches.values() if each.database == database and each.production]
        if not found:
            raise UnknownBranch(f"database {database!r} has no production branch")
        return next((each for each in found if each.is_default), found[0])
