from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from router.errors import ServerNotFound
from router.servers import packages
from router.servers.packages import MANIFEST, Distribution, fetch, find_archive, read_distribution

DEBIAN = Distribution("debian", "bookworm")

on_debian = pytest.mark.skipif(
    "CI" not in os.environ and (read_distribution() is None or not shutil.which("apt-get")),
    reason="needs Debian's package tools",
)


def uris(*places: str) -> str:
    return "".join(
        f"'{base}/dists/{suite}/{file}' some_file_name 0 \n"
        for base, suite in (place.split() for place in places)
        for file in ("InRelease", "main/binary-amd64/Packages.xz")
    )


def test_the_archive_is_the_one_this_machine_is_configured_for() -> None:
    listed = uris(
        "http://security.example/debian-security bookworm-security",
        "http://vendor.example/linux/debian bookworm",
        "http://mirror.example/debian bookworm",
        "http://mirror.example/debian bookworm-updates",
    )
    assert find_archive(listed, DEBIAN) == "http://mirror.example/debian"
    assert find_archive(uris("file:/srv/debian/ stable"), DEBIAN) == "file:/srv/debian"
    assert find_archive(uris("http://security.example/s bookworm-security"), DEBIAN) is None
    assert find_archive("", DEBIAN) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ID=debian\nVERSION_CODENAME=bookworm\nNAME="Debian"\n', DEBIAN),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n", Distribution("ubuntu", "noble")),
        (
            'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n',
            Distribution("ubuntu", "noble"),
        ),
        ("ID=fedora\nVERSION_CODENAME=\n", None),
    ],
)
def test_the_distribution_is_read_from_os_release(
    text: str, expected: Distribution | None, tmp_path: Path
) -> None:
    (tmp_path / "os-release").write_text(text)
    assert read_distribution(tmp_path / "os-release") == expected
    assert read_distribution(tmp_path / "missing") is None


@on_debian
async def test_two_that_fetch_at_once_fetch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Path] = []
    original = packages._fetch_into

    async def counted(work: Path, *args: object) -> None:
        fetched.append(work)
        await original(work, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(packages, "_fetch_into", counted)
    roots = await asyncio.gather(*(fetch("small", ["mysql-common"], "bookworm", tmp_path) for _ in range(2)))
    roots.append(await fetch("small", ["mysql-common"], "bookworm", tmp_path))
    assert set(roots) == {tmp_path / "small"}
    assert len(fetched) == 1
    assert "mysql-common_" in (tmp_path / "small" / MANIFEST).read_text()
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["small"]


@on_debian
async def test_packages_are_refused_without_a_key_that_signs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.gpg"
    empty.touch()
    monkeypatch.setattr(packages, "KEYRINGS", {"debian": (str(empty),), "ubuntu": (str(empty),)})
    with pytest.raises(ServerNotFound, match="NO_PUBKEY"):
        await fetch("small", ["mysql-common"], "bookworm", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


@on_debian
async def test_an_unknown_package_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ServerNotFound, match="no-such-package-here"):
        await fetch("small", ["no-such-package-here"], "bookworm", tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


async def test_a_fetch_that_was_killed_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned = tmp_path / ".small.abandoned"
    (abandoned / "root").mkdir(parents=True)

    async def full(work: Path, *args: object) -> None:
        (work / "root").mkdir()
        (work / "root" / "file").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packages, "_fetch_into", full)
    with pytest.raises(ServerNotFound, match="No space left on device"):
        await fetch("small", ["anything"], "bookworm", tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


async def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerNotFound, match=f"into {tmp_path}/file/cache"):
        await fetch("small", ["anything"], "bookworm", tmp_path / "file" / "cache")
