"""I look for views, triggers and routines of accounts that production does not have: they fail when used."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import CodeKind

_PART = re.compile(r"`((?:[^`]|``)*)`")


def check(subject: Subject) -> Iterator[Finding]:
    accounts, allowed = subject.facts.accounts, subject.settings.definers
    known = {(code.kind, code.name) for code in subject.before.code}
    for code in subject.code(*CodeKind):
        account = _account(code.definer)
        if not account:
            continue
        if allowed and not any(fnmatch.fnmatchcase(account, pattern) for pattern in allowed):
            said = f"is not among: {', '.join(allowed)}"
        elif accounts is not None and account not in accounts and (code.kind, code.name) in known:
            said = "is no account of production (1449)"
        else:
            continue
        yield RULE.finding(code.name, f"{code.kind.lower()} {code.name!r}: its definer {account!r} {said}")


def _account(definer: str) -> str:
    return "@".join(part.replace("``", "`") for part in _PART.findall(definer))


RULE = Rule(
    code="DEFINER_MISSING",
    levels=(Level.ERROR,),
    advice="Create it again as an account that production has, or with SQL SECURITY INVOKER.",
    check=check,
)
