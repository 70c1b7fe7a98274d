from __future__ import annotations

import pytest

from control.production import greeting
from router.model import Account, Address, Flavor, Server


@pytest.mark.parametrize(
    ("flavor", "version", "told"),
    [
        (Flavor.MYSQL, "9.7.4", "9.7.4-headgate"),
        (Flavor.MYSQL, "8.0.43-debian", "8.0.43-headgate"),
        (Flavor.MARIADB, "10.11.18-MariaDB-0+deb12u1-log", "5.5.5-10.11.18-MariaDB-headgate"),
        (Flavor.MARIADB, "11.8.3-MariaDB", "11.8.3-MariaDB-headgate"),
    ],
)
def test_the_greeting_has_the_version_that_drivers_look_for(flavor: Flavor, version: str, told: str) -> None:
    assert greeting(Server(flavor, version, Address(), Account("app"))) == told
