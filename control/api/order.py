"""I put the order of deployment, and what it rests on, into the shapes of the API."""

from __future__ import annotations

from collections.abc import Iterator

from control.api.present import Json, moment
from migrator.schema.order import DeployOrder, Order


def order(found: DeployOrder) -> Json:
    """Return what to deploy first, and why."""
    return {
        "order": str(found.order),
        "sentence": found.sentence,
        "reasons": [
            {
                "order": str(reason.order),
                "table_name": reason.table,
                "element": reason.element,
                "sentence": reason.sentence,
            }
            for reason in found.reasons
        ],
        "evidence": [
            {
                "order": str(each.order),
                "query": each.query,
                "errno": each.errno,
                "error": each.error,
                "tables": list(each.tables),
                "count": each.count,
                "users": list(each.users),
                "last_seen_at": moment(each.last_seen),
            }
            for each in found.evidence
        ],
        "observed_days": found.days,
        "queries_tried": found.tried,
        "queries_untried": found.untried,
    }


def hints(found: DeployOrder) -> Iterator[str]:
    """Yield the order and its reasons as lines for people."""
    yield found.sentence
    for reason in found.reasons:
        yield f"{_WORDS[reason.order]}: {reason.sentence}"
    for each in found.evidence:
        times = f"{each.count:,} times" if each.count else "only prepared"
        fails = "would fail" if each.order is Order.CODE_FIRST else "fails until then"
        yield f"{_WORDS[each.order]}: {each.query} {fails} ({each.error}); seen {times}"


_WORDS = {
    Order.EITHER: "either order",
    Order.SCHEMA_FIRST: "schema first",
    Order.CODE_FIRST: "code first",
    Order.SPLIT: "split",
    Order.NEITHER: "no order",
}
