from __future__ import annotations

import pytest

from proxy import channel
from router.model import Account, Address, Branch, Flavor, Server, User

SERVER = Server(Flavor.MARIADB, "10.11", Address(socket="/run/x.sock"), Account("u", "p"))
TO_WORKER: list[channel.ToWorker] = [
    channel.Routes(
        3,
        "9.7.4",
        [User("app", bytes(range(32)), "shop", None)],
        [Branch("shop", "main", "shop", True, True, False, SERVER)],
    ),
    channel.GateClose(1, "shop", "main", [("shop", "orders")], 1500, 1000),
    channel.GateOpen(1),
    channel.WakeAnswer(1, SERVER),
    channel.WakeAnswer(1, None, "no room"),
    channel.Drain(),
    channel.KillSessions("shop", "main"),
]
TO_CONTROL: list[channel.ToControl] = [
    channel.Hello(1, 2, "boot"),
    channel.GateClosed(1, 5),
    channel.GateOpened(1, 2, 3, 4.5, True),
    channel.Stats(
        1.5,
        [channel.BranchStats("shop", "main", 1, 2, 3, {"read": channel.ClassStats(1, 2, 3, 4, [(5, 6)])})],
    ),
    channel.WakeRequest(1, "shop", "dev"),
    channel.Refused("app", "127.0.0.1", "shop", "main", "DROP TABLE", "DROP TABLE t"),
]


def test_orders_are_read_back_byte_by_byte() -> None:
    data = b"".join(map(channel.encode, TO_WORKER))
    side = channel.WorkerSide()
    assert [m for at in range(len(data)) for m in side.feed(data[at : at + 1])] == TO_WORKER


def test_reports_are_read_back_at_once() -> None:
    assert channel.ControlSide().feed(b"".join(map(channel.encode, TO_CONTROL))) == TO_CONTROL


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(channel.ChannelError):
        channel.WorkerSide().feed(b"\x03\0\0\0abc")
    with pytest.raises(channel.ChannelError):
        channel.ControlSide().feed(b"\xff\xff\xff\xff")
    with pytest.raises(channel.ChannelError):
        channel.ControlSide().feed(channel.encode(channel.Drain()))
