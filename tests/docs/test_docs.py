from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer

from conf.settings import Settings
from control.api.app import make_app
from control.cli.main import app
from control.service import Service
from migrator.deploy.settings import DatabaseSettings
from router.accounts import (
    MIGRATOR_GLOBAL_RIGHTS,
    MIGRATOR_READS,
    MIGRATOR_RIGHTS,
    READER_RIGHTS,
    REPLICATION_GLOBAL_RIGHTS,
    REPLICATION_RIGHTS,
    TRAFFIC_RIGHTS,
    WRITER_RIGHTS,
)
from router.model import Flavor

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text()
DATABASE = "/v1/organizations/{org}/databases/{db}"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
OTHER_VARIABLES = {
    "HEADGATE_URL",
    "HEADGATE_TOKEN",
    "HEADGATE_CONFIG",
    "HEADGATE_FAILPOINT",
    "HEADGATE_PURE",
    "HEADGATE_ALONE",
    "HEADGATE_DRIVERS",
    "HEADGATE_FUZZ_EXAMPLES",
    "HEADGATE_GUARD_EXAMPLES",
}


def prose(text: str) -> str:
    """The text without its blocks of code."""
    return FENCE.sub("", text)


# -- commands ----------------------------------------------------------------------------------------------


def children(command: Any) -> dict[str, Any]:
    return dict(getattr(command, "commands", {}))


def leaves(command: Any, words: tuple[str, ...] = ("headgate",)) -> Iterator[tuple[str, Any]]:
    if not children(command):
        yield " ".join(words), command
    for name, child in children(command).items():
        yield from leaves(child, (*words, name))


HEADGATE = typer.main.get_command(app)
LEAVES = dict(leaves(HEADGATE))


def section(heading: str) -> str:
    """What stands below a heading of the commands' page, up to the next one."""
    found = re.search(rf"^##+ `{re.escape(heading)}`$(.*?)(?=^##|\Z)", COMMANDS, re.MULTILINE | re.DOTALL)
    assert found, f"docs/commands.md has no heading for `{heading}`"
    return found[1]


@pytest.mark.parametrize("name", LEAVES)
def test_every_command_has_a_section_with_its_options_and_an_example(name: str) -> None:
    text = section(name)
    for parameter in LEAVES[name].params:
        if parameter.param_type_name == "option":
            for spelling in (*parameter.opts, *parameter.secondary_opts):
                assert f"`{spelling}" in text or spelling == "--help", f"{spelling} is not explained"
    assert name in [parse(words, whole=True) for words in command_lines(text)], "there is no example"


def test_the_options_before_the_command_are_explained() -> None:
    for parameter in HEADGATE.params:
        for spelling in parameter.opts:
            assert spelling == "--help" or f"`{spelling}" in COMMANDS


def command_lines(text: str) -> Iterator[list[str]]:
    for language, block in FENCE.findall(text):
        if language not in ("", "sh"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            words = split(line)
            if words[:1] == ["headgate"]:
                yield words


def split(line: str) -> list[str]:
    line = line.strip().removeprefix("$ ")
    if not line.startswith("headgate "):
        return []
    words = shlex.split(line, comments=True)
    ends = [at for at, word in enumerate(words) if word in ("|", ">", "&&", "&", ";", "||")]
    return words[: min(ends, default=len(words))]


def parse(words: list[str], *, whole: bool) -> str:
    """Return which command the words run; fail unless they are all it takes (`whole`) or begin so."""
    command, path, rest = HEADGATE, ["headgate"], words[1:]
    while children(command):
        while rest and rest[0].startswith("-"):
            known = {spelling for parameter in command.params for spelling in parameter.opts}
            assert rest[0] in known, f"{rest[0]} is no option of {' '.join(path)}: {words}"
            rest = rest[1:] if rest[0] == "--help" else rest[2:]
        if not rest:
            assert not whole, f"not a whole command: {words}"
            break
        assert rest[0] in children(command), f"{rest[0]} is no command: {words}"
        command, path, rest = children(command)[rest[0]], [*path, rest[0]], rest[1:]
    if not children(command) and rest != ["--help"] and (rest or whole):
        command.make_context(path[-1], rest)  # raises what is wrong
    return " ".join(path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_in_a_block_of_code_is_one(page: Path) -> None:
    for words in command_lines(page.read_text()):
        parse(words, whole=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_sentence_exists(page: Path) -> None:
    for code in INLINE.findall(prose(page.read_text())):
        if words := split(code):
            parse(words, whole=False)


# -- HTTP --------------------------------------------------------------------------------------------------


def routes() -> set[str]:
    found = set()
    for path, operations in make_app(cast(Service, None)).openapi()["paths"].items():
        shown = path.removeprefix(DATABASE) if path.startswith(DATABASE + "/") else path
        found |= {f"{method.upper()} {shown}" for method in operations}
    return found


def test_the_api_page_lists_every_path_and_no_other() -> None:
    listed = {code for code in INLINE.findall(prose(API)) if re.match(r"(GET|POST|PATCH|PUT|DELETE) /", code)}
    assert listed == routes()


# -- settings ----------------------------------------------------------------------------------------------


def settings() -> set[str]:
    known = set()
    for field in dataclasses.fields(Settings):
        value = getattr(Settings(), field.name)
        if dataclasses.is_dataclass(value):
            known |= {f"{field.name}.{inner.name}" for inner in dataclasses.fields(value)}
        else:
            known.add(field.name)
    return known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_setting_event_module_and_variable_that_is_named_exists(page: Path) -> None:
    known, text, code_of_ours = settings(), page.read_text(), sources()
    sections = {name.partition(".")[0] for name in known if "." in name}
    for code in INLINE.findall(prose(text)):
        found = re.fullmatch(r"([a-z]+)\.([a-z_]+)", code)
        if found and found[1] in sections:
            module = (ROOT / code.replace(".", "/")).exists() or (
                ROOT / f"{code.replace('.', '/')}.py"
            ).exists()
            assert code in known or module or f'"{code}"' in code_of_ours, f"what is {code}?"
    variables = {"HEADGATE_" + name.upper().replace(".", "_") for name in known} | OTHER_VARIABLES
    for name in re.findall(r"HEADGATE_[A-Z_]*[A-Z]", text):
        assert name in variables, name


def test_every_setting_of_a_database_is_explained_with_what_it_usually_is() -> None:
    text = (ROOT / "docs" / "people.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (\S*) ?\|", text, re.MULTILINE))
    assert set(rows) == {field.name for field in dataclasses.fields(DatabaseSettings)}
    for name, usual in rows.items():
        value = getattr(DatabaseSettings(), name)
        written = f"{value:.0f}" if isinstance(value, float) else str(value)
        if name == "revert_window_s":
            written = "migrator.revert_window_s"
        assert usual.strip("`") == (written.lower() if isinstance(value, bool) else written), name


def test_the_accounts_to_create_have_the_rights_that_headgate_gives_its_own() -> None:
    text = " ".join((ROOT / "docs" / "production.md").read_text().split())
    assert text.count(f"GRANT {TRAFFIC_RIGHTS} ON `shop`.* TO 'headgate_proxy'@'%'") == len(Flavor)
    for schema in ("shop", r"\_headgate"):
        granted = f"GRANT {MIGRATOR_RIGHTS} ON `{schema}`.* TO 'headgate_migrator'@'%'"
        assert text.count(granted) == len(Flavor)
    for flavor in Flavor:
        assert f"GRANT {MIGRATOR_GLOBAL_RIGHTS[flavor]} ON *.* TO 'headgate_migrator'@'%'" in text
        for scope in MIGRATOR_READS[flavor]:
            assert f"GRANT SELECT ON {scope} TO 'headgate_migrator'@'%'" in text
    for role, rights in (
        ("reader", READER_RIGHTS),
        ("writer", WRITER_RIGHTS),
        ("replication", REPLICATION_RIGHTS),
    ):
        assert f"GRANT {rights} ON `shop`.* TO 'headgate_{role}'@'%'" in text
    assert f"GRANT {REPLICATION_GLOBAL_RIGHTS[Flavor.MYSQL]} ON *.* TO 'headgate_replication'@'%'" in text


# -- links and form ----------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page.read_text())):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_lines_are_short_enough_to_read_in_a_terminal(page: Path) -> None:
    # A table's row cannot be broken.
    lines = [line for line in page.read_text().splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > 110] == []


# -- error messages ----------------------------------------------------------------------------------------


def sources() -> str:
    """All code, with string literals that continue on the next line joined."""
    packages = ("conf", "proxy", "router", "migrator", "control")
    text = "\n".join(path.read_text() for name in packages for path in sorted((ROOT / name).rglob("*.py")))
    return re.sub(r"[\"']\s*\n\s*f?[\"']", "", text)


def is_message(code: str) -> bool:
    """Whether it is words of ours: not a command, a setting, a name or SQL."""
    return " " in code and not re.match(r"headgate |[A-Z]{2}|--|ss |/|\W*\w+\.\w+$", code)


def told() -> list[str]:
    ours = TROUBLE.partition("## Said by other programs")[0]
    return [code for code in INLINE.findall(prose(ours)) if is_message(code)]


def test_every_message_that_is_explained_can_be_told() -> None:
    code, messages = sources(), told()
    # What stands between quotation marks is one of the values that are put in.
    pieces = {piece.strip(): message for message in messages for piece in re.split("[…']", message)}
    assert len(messages) > 60
    assert [f"{piece!r} of {message!r}" for piece, message in pieces.items() if piece not in code] == []
