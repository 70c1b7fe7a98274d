"""I show how rows are copied into a branch until it is ready."""

from __future__ import annotations

import time
from typing import Any, Final

from rich.markup import escape
from rich.status import Status

from control.cli.context import Context
from control.cli.output import errors

POLL_S: Final = 0.25


def wait_for_rows(here: Context, path: str) -> Any:
    """Show how rows are copied into the branch at a path until it is ready, and return it."""
    with Status("copying rows", console=errors) as status:
        while True:
            branch = here.client.get(path)
            if branch["ready"]:
                return branch
            if copied := branch["seeding"]:
                why = f" ({copied['held']})" if copied["held"] else ""
                status.update(
                    f"copying {escape(copied['table'])}: {copied['rows_copied']} of about "
                    f"{copied['rows_total']} rows{escape(why)}"
                )
            time.sleep(POLL_S)
