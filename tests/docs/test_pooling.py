"""The page on connections explains every reason that pins a client, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from proxy.pins import PinReason

PAGE = (Path(__file__).parents[2] / "docs" / "pooling.md").read_text()


def test_every_reason_that_pins_a_client_is_explained() -> None:
    table = PAGE.partition("## What pins a client")[2].partition("\n\n## ")[0]
    explained = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    assert explained == {str(reason) for reason in PinReason}
