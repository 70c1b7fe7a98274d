"""I am `headgate serve`, `headgate demo` and `headgate check-config`."""

from __future__ import annotations

import asyncio

import typer

from conf.describe import describe
from conf.logs import set_up
from control.cli.context import context
from control.cli.output import people
from control.signals import until_told_to_end
from control.supervisor import Supervisor


def serve(ctx: typer.Context) -> None:
    """Run Headgate: control, its API, and the proxy workers, until Ctrl-C or SIGTERM."""
    here = context(ctx)
    settings = here.settings
    set_up(settings.log_level, "supervisor")
    asyncio.run(until_told_to_end(Supervisor(settings, here.config).run()))


def demo(ctx: typer.Context) -> None:
    """Run Headgate with a sample shop and an application that uses it, and show what happens."""
    from control.demo.show import show_demo

    here = context(ctx)
    settings = here.settings
    set_up("error", "demo")
    asyncio.run(until_told_to_end(show_demo(settings, here.config)))


def check_config(ctx: typer.Context) -> None:
    """Check the settings and print those that are not at their default."""
    here = context(ctx)
    settings = here.settings
    changed = []
    for setting in describe():
        section = getattr(settings, setting.section) if setting.section else settings
        value = getattr(section, setting.name)
        default = getattr(type(settings)(), setting.section) if setting.section else type(settings)()
        if value != getattr(default, setting.name):
            shown = "(set)" if "password" in setting.name else value
            changed.append({"setting": f"{setting.section}.{setting.name}".lstrip("."), "value": shown})
    if here.output.is_json:
        here.output.json(changed)
        return
    people.print("The configuration is good.")
    if changed:
        here.output.table(changed, {"setting": "setting", "value": "value"})


def reload(ctx: typer.Context) -> None:
    """Have the running Headgate read its configuration again, at no client's cost."""
    here = context(ctx)
    outcome = here.client.post("reload")
    lines = [f"taken: {', '.join(outcome['taken']) or 'nothing has changed that could be'}"]
    if outcome["waiting"]:
        lines.append(f"waiting for the next start: {', '.join(outcome['waiting'])}")
    here.output.say("\n".join(lines), outcome)
