"""I am `python -m control`: one control process."""

from __future__ import annotations

import argparse
import os
import sys
import traceback

from conf.lifeline import hold
from control.server import run

parser = argparse.ArgumentParser(prog="python -m control", description=__doc__)
parser.add_argument("--config", default="", help="TOML file with settings")
hold()
try:
    status = run(parser.parse_args().config)
except Exception:
    traceback.print_exc()
    status = 1
sys.stdout.flush()
sys.stderr.flush()
# Not sys.exit: Python would wait for the threads of state database connections that were cut off, for ever,
# and nobody would start another control.
os._exit(status)
