"""I am `headgate serve`, `headgate demo` and `headgate check-config`."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine

import typer

from conf.describe import describe
from conf.logs import set_up
from control.cli.context import context
from control.cli.output import people
from control.supervisor import Supervisor


def serve(ctx: typer.Context) -> None:
    """Run Headgate: control, its API, and the proxy workers, until Ctrl-C or SIGTERM."""
    here = context(ctx)
    settings = here.settings
    set_up(settings.log_level, "supervisor")
    run_until_signalled(Supervisor(settings, here.config).run)


def demo(ctx: typer.Context) -> None:
    """Run Headgate with a sample shop and an application that uses it, and show what happens."""
    from control.demo.show import show_demo

    here = context(ctx)
    settings = here.settings
    set_up("error", "demo")
    run_until_signalled(lambda: show_demo(settings, here.config))


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


def run_until_signalled(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run a coroutine function until it ends, or until SIGINT or SIGTERM cancels it, once."""

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None
        ending = False

        def end() -> None:
            nonlocal ending
            if not ending:
                ending = True
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end)
        try:
            await work()
        except asyncio.CancelledError:
            if not ending:
                raise

    asyncio.run(run())
