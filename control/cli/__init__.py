"""The API's calls from a terminal: `headgate …`."""

from control.cli.main import main

__all__ = ["main"]
