"""I turn a recorded operation into one that can be carried out, on the server of the branch it is for."""

from __future__ import annotations

from conf.settings import MigratorSettings
from control.errors import ControlError
from control.targets import Target, Targets
from migrator.deploy.held import MakeOperation
from migrator.deploy.request import DeployRequest, OperationKind, OperationRecord
from migrator.engine.direct.direct import Direct
from migrator.engine.direct.program import ChangeProgram
from migrator.engine.direct.view import ChangeView
from migrator.engine.ground.definers import Definers
from migrator.engine.ground.operation import Operation
from migrator.engine.migration import OnlineAlter
from migrator.engine.swap.create import CreateTable
from migrator.engine.swap.drop import DropTable
from migrator.engine.swap.rename import RenameTable
from migrator.errors import Refused
from router.errors import RouteError


def operations_on(targets: Targets, settings: MigratorSettings, definers: Definers) -> MakeOperation:
    """Return what makes the operations of deploy requests, each into the branch that its request names.

    Views, triggers, routines and events that they make or change belong to whom `definers` say.
    """

    async def make(request: DeployRequest, record: OperationRecord) -> Operation:
        try:
            target = await targets.get(request.into_branch)
        except (ControlError, RouteError) as error:
            raise Refused(f"nothing can be deployed into branch {request.into_branch!r}: {error}") from error
        return operation(request, record, target, settings, definers)

    return make


def operation(
    request: DeployRequest,
    record: OperationRecord,
    target: Target,
    settings: MigratorSettings,
    definers: Definers,
) -> Operation:
    """Return what carries one operation of a request out on its target."""
    server, schema, gate = target.server, target.schema, target.gate()
    if record.view:
        return ChangeView(
            record.id, server, schema, record.table, record.target or "", settings, definers=definers
        )
    if record.program is not None:
        return ChangeProgram(
            *(record.id, server, schema, record.program, record.table, record.code),
            table=record.on_table,
            place=record.place,
            definers=definers,
            gate=gate,
            settings=settings,
        )
    if record.kind is OperationKind.DROP:
        return DropTable(record.id, server, schema, record.table, gate, settings)
    if record.kind is OperationKind.RENAME:
        return RenameTable(record.id, server, schema, record.table, record.becomes, gate, settings)
    assert record.target is not None
    if record.kind is OperationKind.CREATE:
        return CreateTable(record.id, server, schema, record.table, record.target, settings)
    choice = request.choice(record)
    if choice is not None and choice.way is not None:
        place = record.id, server, schema, record.table, record.target
        return Direct(*place, choice.way, gate, settings)
    return OnlineAlter(
        *(record.id, server, schema, record.table, record.target, gate),
        target.throttle.for_request(request.number),
        settings,
        renames=record.renames,
        allow_lossy=request.allow_lossy,
        triggers=record.triggers,
        definers=definers,
    )
