from __future__ import annotations

import json

import pytest

from migrator.schema.errors import SchemaError
from migrator.schema.introspect import read_schema
from migrator.schema.serial import from_json, to_json
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import load, table_statements


async def test_a_stored_schema_comes_back_as_it_was(server: LocalServer, database: str) -> None:
    statements = [*table_statements(server.server.flavor), "CREATE VIEW v AS SELECT 'ä漢😀' AS x"]
    async with await load(server.server, database, statements) as connection:
        schema = await read_schema(connection, database)
    text = to_json(schema)
    assert text.isascii()
    assert from_json(text) == schema


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"format": 99}', '{"format": 1}', '{"format": 1, "flavor": "x"}']
)
def test_what_is_no_stored_schema_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        from_json(text)


async def test_a_table_that_is_no_longer_understood_is_kept_as_text(
    server: LocalServer, database: str
) -> None:
    async with await load(server.server, database, ["CREATE TABLE t (a INT)"]) as connection:
        stored = json.loads(to_json(await read_schema(connection, database)))
    stored["tables"][0]["text"] += " FROBNICATE=1"
    schema = from_json(json.dumps(stored))
    assert "FROBNICATE" in schema.opaque["t"].reason
