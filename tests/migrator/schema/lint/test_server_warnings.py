"""What the scratch server remarks when a change is proved is told as a finding."""

from __future__ import annotations

from migrator.schema.diff import diff
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lint.facts import Facts
from migrator.schema.lint.lint import lint
from migrator.schema.lint.subject import Subject
from migrator.schema.verify import prove
from router.servers.process import LocalServer


async def test_warnings_of_a_proof_are_findings(mysql: LocalServer, mysql_database: str) -> None:
    async with await open_reader(mysql.server, database=mysql_database) as link:
        await link.execute("CREATE TABLE warned (id INT PRIMARY KEY)")
        before = await read_schema(link, mysql_database)
        await link.execute("ALTER TABLE warned ADD COLUMN f FLOAT(7,3)")
        after = await read_schema(link, mysql_database)
        plan = diff(before, after)
        proof = await prove(link, before, plan, after)
    assert {(warning.table, warning.errno) for warning in proof.warnings} == {("warned", 1681)}
    found = lint(Subject(before, after, plan.operations, Facts(warnings=proof.warnings)))
    assert "DEPRECATED:warned:warning 1681" in {finding.key for finding in found}
