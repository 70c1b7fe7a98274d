"""I am one immutable routing table: given a login I answer a Route, or exactly why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from router.errors import UnknownBranch, UnknownUser
from router.model import Branch, Route, User


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
        dots.
        Raises UnknownUser.
        """
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

    def route(self, login: str) -> Route:
        """Return where a login goes. Raises UnknownUser or UnknownBranch."""
        user, wanted = self.find(login)
        name = user.branch if wanted is None else wanted
        if wanted is not None and user.branch and wanted != user.branch:
            raise UnknownBranch(
                f"user {user.name!r} belongs to branch {user.branch!r} of database {user.database!r} and "
                f"cannot reach branch {wanted!r}: ask for a user of that branch with "
                f"'headgate password create {user.database} {wanted}'"
            )
        if name is None:
            return Route(user, self._production(user.database))
        branch = self.branches.get((user.database, name))
        if branch is None:
            raise UnknownBranch(
                f"database {user.database!r} has no branch {name!r}: "
                f"'headgate branch list {user.database}' shows those there are"
            )
        return Route(user, branch)

    def _production(self, database: str) -> Branch:
        for branch in self.branches.values():
            if branch.database == database and branch.production:
                return branch
        raise UnknownBranch(f"database {database!r} has no production branch")
