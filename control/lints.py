"""I say what the lint rules find in branches and changes, and keep what people live with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from conf.settings import LintSettings
from control.branches import Branches
from control.targets import Target
from migrator.deploy.facts import failing_views, read_facts
from migrator.deploy.linting import examine
from migrator.deploy.settings import DatabaseSettings
from migrator.deploy.suppressions import SuppressionStore
from migrator.schema.diff import diff
from migrator.schema.lint.facts import Facts
from migrator.schema.lint.finding import Finding
from migrator.schema.lint.lint import lint
from migrator.schema.lint.subject import Subject
from migrator.schema.lint.suppression import Suppression, suppress
from migrator.schema.model import Schema
from migrator.schema.views import view_texts
from router.database import Connection

Lint = Callable[[str], Awaitable[tuple[Finding, ...]]]
"""Returns what the rules find in a branch."""

NumberOf = Callable[[str], Awaitable[int | None]]
"""Returns the number of the open deploy request of a branch."""


class Lints:
    """The lint of one database; `decided` gives its settings as they are now."""

    def __init__(
        self,
        database: str,
        store: SuppressionStore,
        branches: Branches,
        settings: LintSettings,
        decided: Callable[[], DatabaseSettings],
        number_of: NumberOf,
    ) -> None:
        self._database = database
        self._store = store
        self._branches = branches
        self._settings = settings
        self._decided = decided
        self._number_of = number_of

    async def examine(self, branch: str, target: Target, subject: Subject) -> tuple[Finding, ...]:
        """Return what the rules say of a branch's change of a target, with what the target's rows say."""
        found = await examine(self._set(subject), target.server, target.schema, target.throttle)
        return suppress(found, await self.suppressions(), await self._number_of(branch))

    async def of_branch(self, name: str) -> tuple[Finding, ...]:
        """Return what the rules say of a branch's whole schema; what its base had already only warns.

        Of a branch that deploy requests go into, nothing is excused by having been there before.
        """
        record = await self._branches.get(name)
        after = await self._branches.read(name)
        before = after if record.safe_migrations else await self._branches.base(name)
        production = self._branches.production
        facts = await read_facts(production.migrator, production.schema)
        facts = replace(facts, views=await self._failing_views(name, after))
        if record.local:
            # Definers of production need not be accounts of a branch's server.
            facts = replace(facts, accounts=None)
        operations = () if before is after else diff(before, after).operations
        found = lint(self._set(Subject(before, after, operations, facts)))
        return suppress(found, await self.suppressions(), await self._number_of(name))

    async def errors(self, name: str) -> tuple[Finding, ...]:
        """Return what keeps a branch from having safe migrations: what could never be deployed there."""
        after = await self._branches.read(name)
        facts = Facts(views=await self._failing_views(name, after))
        found = suppress(lint(self._set(Subject(after, after, facts=facts))), await self.suppressions())
        return tuple(finding for finding in found if finding.blocks)

    async def suppressions(self) -> Sequence[Suppression]:
        """Return what people live with, oldest first."""
        return await self._store.all(self._database)

    async def suppress(
        self,
        code: str,
        reason: str,
        author: str,
        *,
        subject: str = "",
        element: str = "",
        number: int | None = None,
    ) -> Suppression:
        """Let findings of a rule be lived with. Raises DeployError when that makes no sense."""
        return await self._store.add(
            self._database, code, reason, author, subject=subject, element=element, number=number
        )

    async def unsuppress(self, identity: str) -> Suppression:
        """Let findings count again. Raises DeployError when there is no such suppression."""
        return await self._store.remove(self._database, identity)

    async def _failing_views(self, name: str, schema: Schema) -> dict[str, str]:
        views = list(view_texts(schema))
        if not views:
            return {}
        record = await self._branches.get(name)
        production = self._branches.production
        server = await self._branches.admin(record) if record.local else production.migrator
        async with await Connection.open(server) as link:
            return dict(await failing_views(link, production.schema, views))

    def _set(self, subject: Subject) -> Subject:
        decided = self._decided()
        return replace(
            subject,
            settings=self._settings,
            allow_foreign_keys=decided.allow_foreign_keys,
            recently_used_s=decided.recently_used_s,
        )
