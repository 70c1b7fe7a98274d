"""I am the options that several commands of `headgate deploy-request` share."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Wait = Annotated[bool, typer.Option("--wait", help="Show progress until it has ended.")]

Asked = Annotated[
    Literal["auto", "instant", "revertible"] | None,
    typer.Option(
        help="Change tables at once where that can be undone, at once or not at all, or always by a copy."
    ),
]
Lossy = Annotated[
    bool | None,
    typer.Option(
        "--allow-lossy/--no-allow-lossy", help="Let the server round and cut off what would be altered."
    ),
]
AutoApply = Annotated[
    bool | None,
    typer.Option(
        "--enable-auto-apply/--disable-auto-apply",
        help="Cut over as soon as everything is copied, or wait for `apply`.",
        show_default=False,
    ),
]
AutoDelete = Annotated[
    bool | None,
    typer.Option(
        "--auto-delete-branch/--keep-branch",
        help="Delete the branch when the deployment is complete, or keep it.",
        show_default=False,
    ),
]
Aggressive = Annotated[
    bool | None,
    typer.Option(
        "--aggressive-cutover/--patient-cutover",
        help="Kill what holds its tables at the first attempt to cut over, or wait for it.",
        show_default=False,
    ),
]
