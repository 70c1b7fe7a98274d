"""I say who may use the console of a branch, and as which roles."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from control.api.paths import check_acts, check_administrator
from control.errors import ControlError, NotAllowed
from migrator.deploy.settings import DatabaseSettings
from router.model import Actor, Role
from router.records import BranchRecord, BranchState

ROLES: Final = {
    Role.READER: "Read only",
    Role.READWRITER: "Read and write",
    Role.ADMIN: "Administer",
}
"""The roles of passwords that people choose from here, the least one first, and what they are called."""


def check_console(actor: Actor, branch: BranchRecord, settings: DatabaseSettings) -> None:
    """Raise NotAllowed or ControlError, saying what to do, unless the actor may use a branch's console.

    They are the rules for making a password, for that is what is done; on production a setting stands before.
    """
    check_acts(actor)
    if branch.production:
        if not settings.production_branch_web_console:
            raise NotAllowed(
                f"the web console is switched off for production branches, and {branch.name!r} is one: an "
                "administrator switches it on with: "
                f"headgate database set {branch.database} production_branch_web_console=true"
            )
        check_administrator(actor, "use the web console on production")
    if branch.state is BranchState.PENDING:
        raise ControlError(f"branch {branch.name!r} is still being made: try again in a moment")


def reason_against(actor: Actor, branch: BranchRecord, settings: DatabaseSettings) -> str:
    """Return why an actor may not use the console of a branch, empty when it may."""
    try:
        check_console(actor, branch, settings)
    except ControlError as error:
        return str(error)
    return ""


def roles_for(made: Collection[Role]) -> dict[str, str]:
    """Return the roles to choose from, with what they are called, of those that passwords can have here."""
    return {str(role): name for role, name in ROLES.items() if role in made}


def role_of(text: str, made: Collection[Role]) -> Role:
    """Return the role that somebody has chosen. Raises ControlError for any but those there are."""
    if text not in roles_for(made):
        raise ControlError(f"there is no access {text!r} here: choose one of {', '.join(roles_for(made))}")
    return Role(text)
