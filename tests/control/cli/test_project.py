"""The file that says which branch a project is at: read, written, found; no server is needed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.cli.project import BYTES_MAX, NAME, ProjectError, find_file, open_project, write_project
from control.cli.project_text import LineRefused, Place, read_place, with_place

SHOP = Place("local", "shop", "add-phone")
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


def test_what_pscale_writes_is_read() -> None:
    assert read_place("org: acme\ndatabase: shop\nbranch: add-phone\n") == Place("acme", "shop", "add-phone")
    assert read_place('---\norg: acme # ours\nbranch: "123"\n') == Place("acme", "", "123")
    assert read_place("branch: '123'   \r\ndatabase:\r\n") == Place("", "", "123")
    assert read_place("") == Place()


def test_other_keys_comments_order_and_line_ends_stay() -> None:
    text = "# ours\r\nbranch: main  # for now\r\n\r\napi-url: https://db.example:8307/v1\r\norg: acme"
    assert with_place(text, SHOP) == (
        "# ours\r\nbranch: add-phone  # for now\r\n\r\napi-url: https://db.example:8307/v1\r\norg: local\n"
        "database: shop\n"
    )
    assert with_place("", SHOP) == "org: local\ndatabase: shop\nbranch: add-phone\n"


@pytest.mark.parametrize("name", ["123", "1e5", "true", "no", "y", "null", "0x1f", "2026-11-21"])
def test_a_name_that_yaml_takes_for_another_thing_is_quoted(name: str) -> None:
    assert f'branch: "{name}"\n' in with_place("", Place("local", "shop", name))


@given(org=st.text(min_size=1, max_size=8).filter(str.isprintable), database=NAMES, branch=NAMES)
def test_what_is_written_is_read_back(org: str, database: str, branch: str) -> None:
    place = Place(org, database, branch)
    assert read_place(with_place("", place)) == place
    assert read_place(with_place("mine: 1\nbranch: main # of old\n", place)) == place


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("org: acme\nservers:\n  - one\n", 3, "'- one'"),
        ("org: acme\nbranch: [main]\n", 2, "'branch: [main]'"),
        ("org: {a: b}\n", 1, "`key: value`"),
        ("org: &anchor acme\n", 1, "`key: value`"),
        ("notes: |\n  more\n", 1, "`key: value`"),
        ("org acme\n", 1, "`key: value`"),
        ("\ufefforg: acme\n", 1, "`key: value`"),
        ('org: "acm\\x65"\n', 1, "backslash"),
        ('org: "\x1b[2Jacme"\n', 1, r"\x1b[2Jacme"),
        ("branch: main\ndatabase: shop\nbranch: other\n", 3, "second time"),
        ('org: "acme\\u001b[2J"\n', 1, "cannot be the name of an organization"),
        ("branch: Add_Phone\n", 1, "cannot be the name of a branch"),
        ("database: ../secrets\n", 1, "cannot be the name of a database"),
        ("org: acme\n---\norg: other\n", 2, "`key: value`"),
        ("org: acme\nbranch:\tmain\n", 2, "`key: value`"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(text: str, number: int, words: str) -> None:
    with pytest.raises(LineRefused) as refused:
        read_place(text)
    assert refused.value.number == number
    assert words in str(refused.value)


def test_the_nearest_file_up_to_the_root_of_the_repository_counts(tmp_path: Path) -> None:
    root, inner = tmp_path / "work", tmp_path / "work" / "api" / "src"
    inner.mkdir(parents=True)
    (tmp_path / NAME).write_text("branch: of-somebody-else\n")
    (root / ".git").mkdir()
    assert find_file(inner) == root / NAME
    (root / NAME).write_text("branch: main\n")
    assert open_project(inner).place.branch == "main"
    (root / "api" / NAME).write_text("branch: nearer\n")
    assert open_project(inner).place.branch == "nearer"
    assert open_project(root).place.branch == "main"


def test_outside_a_repository_only_the_folder_itself_counts(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / NAME).write_text("branch: of-somebody-else\n")
    assert find_file(inner) == inner / NAME
    assert open_project(inner).place == Place()


def test_a_worktree_has_a_file_of_its_own(tmp_path: Path) -> None:
    tree = tmp_path / "repository" / "tree"
    tree.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    (tree / ".git").write_text("gitdir: elsewhere\n")
    assert find_file(tree) == tree / NAME


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    path = tmp_path / NAME
    path.write_text("mine: 1\nbranch: main\n")
    path.chmod(0o600)
    before = path.open()  # whoever reads it meanwhile has one text or the other
    write_project(open_project(tmp_path), SHOP)
    assert before.read() == "mine: 1\nbranch: main\n"
    before.close()
    assert path.read_text() == "mine: 1\nbranch: add-phone\norg: local\ndatabase: shop\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {each.name for each in tmp_path.iterdir()} == {".git", NAME}


def test_a_new_file_is_for_everybody_to_read_and_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    write_project(open_project(tmp_path / "target"), SHOP)
    written = tmp_path / "target" / NAME
    assert written.stat().st_mode & 0o777 == 0o644
    (tmp_path / NAME).symlink_to(written)
    write_project(open_project(tmp_path), Place("local", "shop", "other"))
    assert (tmp_path / NAME).is_symlink()
    assert open_project(tmp_path / "target").place.branch == "other"


def test_what_does_not_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / NAME
    os.mkfifo(path)
    with pytest.raises(ProjectError, match=r"no plain file. Move it, then: headgate branch switch BRANCH"):
        open_project(tmp_path)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(ProjectError, match="no plain file"):
        open_project(tmp_path)
    path.unlink()
    path.write_bytes(b"#" * (BYTES_MAX + 1))
    with pytest.raises(ProjectError, match=r"no such file is so long. Move it"):
        open_project(tmp_path)


def test_a_file_that_cannot_be_read_or_written_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.mkdir()
    with pytest.raises(ProjectError, match=r"cannot be read: it is no plain file. Move it"):
        open_project(tmp_path)
    path.rmdir()
    path.write_bytes(b"branch: \xff\n")
    with pytest.raises(ProjectError, match=r"not UTF-8.*headgate branch switch BRANCH"):
        open_project(tmp_path)
    path.write_text("org: acme\nbranch main\n")
    with pytest.raises(ProjectError, match=r"line 2: .*Mend that line.*headgate branch switch BRANCH"):
        open_project(tmp_path)
    path.unlink()
    project = open_project(tmp_path)
    path.mkdir()
    with pytest.raises(ProjectError, match=r"cannot be written.*headgate branch switch add-phone"):
        write_project(project, SHOP)
    assert [each.name for each in tmp_path.iterdir()] == [NAME]
