"""I am `python -m control`: one control process."""

from __future__ import annotations

import argparse
import sys

from conf.lifeline import hold
from control.server import run

parser = argparse.ArgumentParser(prog="python -m control", description=__doc__)
parser.add_argument("--config", default="", help="TOML file with settings")
hold()
sys.exit(run(parser.parse_args().config))
