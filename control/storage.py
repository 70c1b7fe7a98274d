"""I say what a deploy request will take: I ask its target for sizes, and the machine for free room."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from control.targets import Target
from migrator.deploy.copy_speed import CopySpeeds
from migrator.deploy.linting import Examine
from migrator.deploy.request import DeployRequest
from migrator.deploy.sizes import read_sizes
from migrator.deploy.storage import Disk, StorageNeed, findings, need_of, storage_need
from migrator.engine.estimate import CopySpeed, Duration, estimate
from migrator.schema.lint.finding import Finding
from migrator.schema.lint.subject import Subject
from router.database import Connection
from router.model import Server

HERE = frozenset({"127.0.0.1", "::1", "localhost"})


async def read_disk(server: Server) -> Disk:
    """Return what is free on the disk with a server's data, where that is this machine's."""
    if server.address.socket is None and server.address.host not in HERE:
        return Disk(None, f"the server is on another machine ({server.address})")
    async with await Connection.open(server) as link:
        folder = Path(str(await link.fetch_value("SELECT @@datadir")))
        own = str(await link.fetch_value("SELECT @@hostname"))
    # What listens on this machine may be a container, or the end of a tunnel: its folder is not ours then.
    if own != os.uname().nodename or not folder.is_dir():
        return Disk(None, f"the data folder {folder} of the server cannot be seen from here")
    found = os.statvfs(folder)
    return Disk(found.f_bavail * found.f_frsize)


@dataclass(frozen=True, slots=True)
class Costs:
    """What a deploy request will take: room on the disk, and, by table that is copied, rows and time."""

    need: StorageNeed
    rows: Mapping[str, int]
    durations: Mapping[str, Duration]

    @property
    def duration(self) -> Duration | None:
        """How long all copies together will take, None when that is not known or nothing is copied."""
        known = list(self.durations.values())
        if not known or len(known) < len(self.need.tables):
            return None
        sums = ((each.likely_s, each.low_s, each.high_s) for each in known)
        return Duration(*(sum(parts) for parts in zip(*sums, strict=True)))


async def costs_of(request: DeployRequest, target: Target, speeds: CopySpeeds) -> Costs:
    """Return what the operations of a request will take on its target, as it is now."""
    names = [operation.table for operation in request.operations]
    sizes = await read_sizes(target.server, target.schema, names)
    need = storage_need(request, request.operations, sizes, await read_disk(target.server))
    speed = await speeds.last(request.database, request.into_branch)
    durations = {
        name: duration
        for name in need.tables
        if (duration := estimate(sizes[name].rows, sizes[name].data_bytes, speed)) is not None
    }
    return Costs(need, {name: sizes[name].rows for name in need.tables}, durations)


def with_costs(examine: Examine, target: Target, speed: CopySpeed | None) -> Examine:
    """Return what examines a change, and also looks at how long its copies take and whether there is room."""

    async def look(subject: Subject) -> tuple[Finding, ...]:
        facts = replace(subject.facts, copy_rows_per_s=speed.rows_per_s if speed else None)
        found = await examine(replace(subject, facts=facts))
        ways = subject.facts.ways
        copied = [
            change.place
            for change in subject.changes
            if (way := ways.get(change.name)) is None or not way.instant
        ]
        if not copied:
            return found
        sizes = await read_sizes(target.server, target.schema, copied)
        return (*found, *findings(need_of(copied, sizes, await read_disk(target.server))))

    return look
