"""I turn a schema into text for storage, and back.

Tables are stored as their server's own text, so that what is stored does not depend on how the model looks.
The standard library's JSON is used because it keeps bytes that are no text (surrogates) as they are.
"""

from __future__ import annotations

import json
from typing import Any

from migrator.schema.errors import NotCanonical, SchemaError
from migrator.schema.model import Code, CodeKind, OpaqueTable, Schema, Table
from migrator.schema.parse import parse_create, with_collations
from migrator.schema.render import canonical_text
from router.model import Flavor

FORMAT = 1


def to_json(schema: Schema) -> str:
    """Return the schema as text that `from_json` reads."""
    return json.dumps(
        {
            "format": FORMAT,
            "flavor": schema.flavor.value,
            "version": schema.version,
            "collation": schema.collation,
            "tables": [_table_out(table) for table in schema.tables.values()],
            "opaque": [
                {"name": table.name, "text": table.text, "reason": table.reason, "sequence": table.sequence}
                for table in schema.opaque.values()
            ],
            "code": [
                {
                    "kind": code.kind.value,
                    "name": code.name,
                    "text": code.text,
                    "sql_mode": code.sql_mode,
                    "definer": code.definer,
                    "collation_connection": code.collation_connection,
                    "table": code.table,
                    "time_zone": code.time_zone,
                    "enabled": code.enabled,
                }
                for code in schema.code
            ],
        }
    )


def from_json(text: str) -> Schema:
    """Return the schema that `to_json` wrote; raises SchemaError when it is none."""
    try:
        stored = json.loads(text)
        if stored["format"] != FORMAT:
            raise SchemaError(f"a stored schema has format {stored['format']!r}, this program reads {FORMAT}")
        flavor = Flavor(stored["flavor"])
        tables: dict[str, Table] = {}
        opaque = {table["name"]: OpaqueTable(**table) for table in stored["opaque"]}
        for entry in stored["tables"]:
            try:
                tables[entry["name"]] = _table_in(entry, flavor)
            except NotCanonical as error:
                opaque[entry["name"]] = OpaqueTable(entry["name"], entry["text"], str(error))
        code = tuple(Code(**{**entry, "kind": CodeKind(entry["kind"])}) for entry in stored["code"])
        return Schema(flavor, stored["version"], stored["collation"], tables, opaque, code)
    except (KeyError, TypeError, ValueError) as error:
        raise SchemaError(f"a stored schema cannot be read: {error!r}") from error


def _table_out(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "text": canonical_text(table),
        "collation": table.collation,
        "columns": {column.name: column.collation for column in table.columns},
    }


def _table_in(entry: dict[str, Any], flavor: Flavor) -> Table:
    columns = entry["columns"]
    return with_collations(parse_create(entry["text"], flavor), entry["collation"], columns, sure_of=columns)
