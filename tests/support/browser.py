"""I look at pages as a browser without scripts does: follow links, fill in forms, keep cookies."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx

VOID = frozenset({"meta", "link", "input", "br"})


@dataclass(frozen=True)
class Value:
    """A value in a table: how it is shown, and what."""

    shape: str
    text: str


@dataclass
class Form:
    """A form: where it is sent, and what its fields hold."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """What is on a page."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.status = answer.status_code
        self.headers = answer.headers
        self.path = answer.request.url.path
        self.html = answer.text
        self.forms: dict[str, Form] = {}
        self.links: dict[str, str] = {}
        self.addresses: set[str] = set()
        self.tables: list[list[list[Value]]] = []
        self.problems: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self._form: Form | None = None
        self.texts: list[str] = []
        self.feed(answer.text)
        self.close()
        assert not self._open, [tag for tag, _, _ in self._open]

    @property
    def text(self) -> str:
        """All that can be read on the page."""
        return " ".join(" ".join(self.texts).split())

    @property
    def columns(self) -> list[str]:
        """The names of the first table's columns."""
        return [value.text for value in self.tables[0][0]]

    @property
    def rows(self) -> list[list[str]]:
        """The rows of the first table."""
        return [[value.text for value in row] for row in self.tables[0][1:]]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes |= set(given)
        match tag:
            case "form":
                self._form = self.forms[given["action"]] = Form(given["action"])
            case "input" if self._form and (given.get("type") != "radio" or "checked" in given):
                self._form.fields[given["name"]] = given.get("value", "")
            case "table":
                self.tables.append([])
            case "tr":
                self.tables[-1].append([])
        if tag not in VOID:
            self._open.append((tag, given, []))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        for _, _, texts in self._open:
            texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        opened, given, texts = self._open.pop()
        assert opened == tag, f"<{opened}> is ended by </{tag}>"
        text = "".join(texts)
        match tag:
            case "form":
                self._form = None
            case "textarea" if self._form and "name" in given:
                self._form.fields[given["name"]] = text.removeprefix("\n")
            case "td" | "th":
                self.tables[-1][-1].append(Value(given.get("class", ""), text))
            case "a":
                # Links that are called alike lead to several addresses.
                self.links[text.strip()] = given["href"]
                self.addresses.add(given["href"])
            case "p" if given.get("class") == "problem":
                self.problems.append(" ".join(text.split()))


class Browser:
    """A browser with cookies of its own, on the pages of one Headgate."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def open(self, path: str) -> Page:
        """Look at a path, wherever that leads."""
        return await self._followed(await self.http.get(path, headers={"Accept": "text/html"}))

    async def send(self, page: Page, action: str, **fields: str) -> Page:
        """Fill in a form of a page, send it, and look at what comes."""
        filled = {**page.forms[action].fields, **fields}
        return await self._followed(await self.post(action, filled))

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        """Send a form as browsers do; `headers` take the place of theirs, empty ones leave them out."""
        usual = {
            "Accept": "text/html",
            "Origin": str(self.http.base_url).rstrip("/"),
            "Sec-Fetch-Site": "same-origin",
        }
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**usual, **given}.items() if value}
        return await self.http.post(path, data=fields, headers=sent)

    async def log_in(self, token: str, path: str = "/databases") -> Page:
        """Log in with a service token."""
        page = await self.open(path)
        assert page.path == "/login", page.path
        return await self.send(page, "/login", token=token)

    async def run(self, branch: str, sql: str, access: str = "readwriter") -> Page:
        """Run SQL in the console of a branch."""
        path = f"/databases/shop/{branch}/console"
        return await self.send(await self.open(path), path, sql=sql, access=access)

    async def _followed(self, answer: httpx.Response) -> Page:
        while answer.is_redirect:
            answer = await self.http.get(answer.headers["location"], headers={"Accept": "text/html"})
        return Page(answer)
