"""I run the scenario with Django on mysqlclient, and its models and its introspection besides."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections, models, transaction
from django.db.utils import ConnectionHandler
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Scenario
from through_dbapi import DbapiConnection


def database(*, password: str = PASSWORD, tls: bool = False) -> dict[str, Any]:
    ssl: dict[str, Any] = (
        {"ssl_mode": "VERIFY_IDENTITY", "ssl": {"ca": CA}} if tls else {"ssl_mode": "DISABLED"}
    )
    return {
        "ENGINE": "django.db.backends.mysql",
        "HOST": HOST,
        "PORT": PORT,
        "USER": USER,
        "PASSWORD": password,
        "NAME": DATABASE,
        "OPTIONS": ssl,
    }


class Connection(DbapiConnection):
    """Django's wrapper of a connection."""

    @property
    def id(self) -> int:
        return int(self.driver.connection.thread_id())

    def begin(self) -> None:
        self.driver.set_autocommit(False)

    def commit(self) -> None:
        self.driver.commit()
        self.driver.set_autocommit(True)

    def rollback(self) -> None:
        self.driver.rollback()
        self.driver.set_autocommit(True)

    def change_database(self, name: str) -> None:
        self.run(f"USE {name}")


def connect(*, password: str = PASSWORD, tls: bool = False) -> Connection:
    driver: Any = ConnectionHandler({"default": database(password=password, tls=tls)})["default"]
    driver.inc_thread_sharing()
    driver.ensure_connection()
    return Connection(driver)


settings.configure(DATABASES={"default": database()}, USE_TZ=True)
django.setup()


class Name(models.Model):
    """A row of `names`."""

    name = models.CharField(max_length=10, unique=True)

    class Meta:
        """Where it is."""

        app_label = "scenario"
        db_table = "names"
        managed = False


def modelled() -> Any:
    """Create, change, find and delete models, in transactions and without."""
    seen: list[Any] = []
    Name.objects.bulk_create([Name(name="model 1"), Name(name="model 2")])
    made, is_new = Name.objects.get_or_create(name="model 3")
    seen.append([made.name, is_new, Name.objects.filter(name__startswith="model").count()])
    with transaction.atomic():
        Name.objects.select_for_update().get(name="model 1")
        Name.objects.filter(name="model 1").update(name="changed")
        try:
            with transaction.atomic():
                Name.objects.create(name="model 2")
        except DatabaseError as error:
            seen.append(str(error.args[0]))
    seen.append([*Name.objects.filter(name__contains="e").order_by("name").values_list("name", flat=True)])
    seen.append(Name.objects.exclude(name="taken").delete()[0])
    return seen


def introspected() -> Any:
    """Read the schema as `inspectdb` does."""
    connection = connections["default"]
    with connection.cursor() as cursor:
        introspection = connection.introspection
        tables = sorted(introspection.table_names(cursor))
        columns = [
            [str(part) for part in row] for row in introspection.get_table_description(cursor, "given")
        ]
        return [tables, columns, introspection.get_relations(cursor, "children")]


if __name__ == "__main__":
    # For it, TIME is the time of a day.
    without = {"types": ["span"], "types_prepared": ["span"], "dates": ["t"]}
    scenario = Scenario(connect, (DatabaseError, InterfaceError), without=without)
    scenario.run({"modelled": modelled, "introspected": introspected})
