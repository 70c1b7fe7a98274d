"""I say whom the views, triggers, routines and events of a branch belong to, and hand them over."""

from __future__ import annotations

from dataclasses import replace

from migrator.schema.clone import load_code
from migrator.schema.errors import SchemaError
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Code, CodeKind
from migrator.schema.program_text import view_of, with_definer
from router.database import quote_name
from router.model import Server


def owned(code: Code, definer: str) -> Code:
    """Return a program that belongs to a definer, which is quoted; '' leaves it to who makes it."""
    if code.kind is CodeKind.VIEW:
        return replace(code, text=view_of(code.text, definer))
    return replace(code, text=with_definer(code.text, definer))


async def hand_over(server: Server, schema: str, former: str, definer: str) -> None:
    """Give what belongs to one account to another; both are quoted.

    Triggers keep their order, for each is made anew behind the others in turn; an event goes on running or
    not. What the server refuses for its new owner is as it was. Killed in between, the one program that is
    being made anew is missing. Raises DatabaseError and SchemaError.
    """
    async with await open_reader(server, database=schema) as link:
        found = (await read_schema(link, schema)).code
        if all(code.definer != former for code in found):
            return
        for code in found:
            if code.definer != former and code.kind is not CodeKind.TRIGGER:
                continue
            whose = definer if code.definer == former else code.definer
            await link.execute(f"DROP {code.kind} {quote_name(code.name)}")
            try:
                left_out = await load_code(link, [owned(code, whose)])
            except SchemaError:
                await load_code(link, [owned(code, code.definer)])
                raise
            if code.kind is CodeKind.EVENT and code.enabled and not left_out:
                await link.execute(f"ALTER EVENT {quote_name(code.name)} ENABLE")
