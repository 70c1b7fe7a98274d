from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

from router.accounts import (
    MIGRATOR_GLOBAL_RIGHTS,
    MIGRATOR_READS,
    MIGRATOR_RIGHTS,
    TRAFFIC_RIGHTS,
    prove_no_ddl,
    warn_of_migrator,
)
from router.database import Connection
from router.model import Account, Flavor, Server
from router.servers.process import LocalServer

CREATED = "CREATE USER 'headgate_migrator'@'%' IDENTIFIED BY 'migrator'"
SCRIPT = Path(__file__).parents[2] / "docker" / "accounts.sh"


def statements(schema: str) -> list[str]:
    """What the script would have the container's server run."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "MYSQL_DATABASE": schema,
        "TRAFFIC_PASSWORD": "traffic",
        "MIGRATOR_PASSWORD": "migrator",
    }
    script = f"docker_process_sql() {{ cat; }}; . {SCRIPT}"
    sql = subprocess.run(
        ["bash", "-euc", script], env=environment, capture_output=True, check=True, text=True
    )
    return [statement.strip() for statement in sql.stdout.split(";") if statement.strip()]


async def test_the_containers_accounts_have_the_rights_that_headgate_needs_and_no_more(
    mysql: LocalServer, mysql_database: str
) -> None:
    words = {" ".join(statement.split()) for statement in statements(mysql_database)}
    escaped = mysql_database.replace("_", r"\_")
    assert f"GRANT {TRAFFIC_RIGHTS} ON `{escaped}`.* TO 'headgate_proxy'@'%'" in words
    given = {statement for statement in words if "'headgate_migrator'" in statement} - {CREATED}
    assert given == {
        f"GRANT {MIGRATOR_RIGHTS} ON `{escaped}`.* TO 'headgate_migrator'@'%'",
        rf"GRANT {MIGRATOR_RIGHTS} ON `\_headgate`.* TO 'headgate_migrator'@'%'",
        f"GRANT {MIGRATOR_GLOBAL_RIGHTS[Flavor.MYSQL]} ON *.* TO 'headgate_migrator'@'%'",
        *(f"GRANT SELECT ON {scope} TO 'headgate_migrator'@'%'" for scope in MIGRATOR_READS[Flavor.MYSQL]),
    }
    async with await Connection.open(mysql.server) as admin:
        for statement in statements(mysql_database):
            await admin.execute(statement)
        try:
            there = mysql.server
            traffic = Account("headgate_proxy", "traffic")
            traffic_server = Server(there.flavor, there.version, there.address, traffic)
            assert "denied" in await prove_no_ddl(traffic_server, mysql_database)
            migrator = replace(there, account=Account("headgate_migrator", "migrator"))
            assert await warn_of_migrator(migrator) == []
        finally:
            await admin.execute("DROP USER 'headgate_proxy'@'%', 'headgate_migrator'@'%'")
