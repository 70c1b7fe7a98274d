"""I speak the HTTP API for the command line."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Final

import httpx

from conf.settings import Settings
from control.token import authorization

Json = Any

TIMEOUT_S = 120.0
NOT_FOUND: Final = 404
PAGE: Final = 100
"""How many elements of a list are fetched at once: the most that the API gives."""
CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor, or turns text around, and so can hide lines that are to be reviewed."""


class ApiRefused(Exception):
    """The API answered with an error: the message is its sentence, `status` its HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Unreachable(Exception):
    """No Headgate answers where one should."""


class Client:
    """The API of one Headgate.

    The address is HEADGATE_URL, else what the settings say; the token is HEADGATE_TOKEN, else the one in the
    state folder of this machine. With `for_people` answers hold nothing that a terminal obeys.
    """

    def __init__(self, settings: Settings, *, for_people: bool = False) -> None:
        self._for_people = for_people
        self.when_not_found = ""
        """What is said after an answer that something is not there: who named it."""
        url = os.environ.get("HEADGATE_URL") or f"http://{settings.control.host}:{settings.control.port}"
        self.organization = settings.control.organization
        self._url = url
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/v1/organizations/{self.organization}/",
            headers={"Authorization": authorization(_token(settings))},
            timeout=TIMEOUT_S,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections to the API."""
        self._http.close()

    def ready(self) -> bool:
        """Whether clients of the proxy can be served now."""
        try:
            return self._http.get(f"{self._url.rstrip('/')}/readyz").is_success
        except httpx.TransportError:
            return False

    def get(self, path: str, **query: str | int | list[str]) -> Json:
        """Fetch what is at a path below the organization."""
        return self._ask("GET", path, params=query)

    def every(self, path: str, **query: str | int | list[str]) -> list[Json]:
        """Fetch the list at a path below the organization, from all its pages."""
        found: list[Json] = []
        number = 1
        while number:
            listed = self.get(path, **query, page=number, per_page=PAGE)
            found += listed["data"]
            number = listed["next_page"] or 0
        return found

    def post(self, path: str, body: Json = None) -> Json:
        """Create something, or do something."""
        return self._ask("POST", path, json=body or {})

    def patch(self, path: str, body: Json) -> Json:
        """Change something."""
        return self._ask("PATCH", path, json=body)

    def put(self, path: str, body: Json) -> Json:
        """Set something."""
        return self._ask("PUT", path, json=body)

    def delete(self, path: str) -> None:
        """Delete something."""
        self._ask("DELETE", path)

    def _ask(self, method: str, path: str, **rest: Any) -> Json:
        try:
            answer = self._http.request(method, path, **rest)
        except httpx.TimeoutException:
            raise Unreachable(f"Headgate at {self._url} did not answer within {TIMEOUT_S:g} s") from None
        except httpx.TransportError as error:
            raise Unreachable(
                f"no Headgate answers at {self._url} ({error}): start one with 'headgate serve', or name "
                "another address with HEADGATE_URL"
            ) from None
        if answer.is_success:
            found = answer.json() if answer.content else None
            return harmless(found) if self._for_people else found
        try:
            problem = answer.json()
            hint = self.when_not_found if answer.status_code == NOT_FOUND else ""
            raise ApiRefused(answer.status_code, problem["code"], harmless(problem["message"]) + hint)
        except (json.JSONDecodeError, KeyError, TypeError):
            raise ApiRefused(
                answer.status_code,
                "unknown",
                f"{self._url} answered HTTP {answer.status_code}: is it Headgate?",
            ) from None


def harmless(answer: Json) -> Json:
    """Return an answer with what a terminal would obey written as escapes; line ends and tabs stay."""
    match answer:
        case str():
            return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", answer.replace("\r\n", "\n"))
        case list():
            return [harmless(each) for each in answer]
        case dict():
            return {key: harmless(value) for key, value in answer.items()}
        case _:
            return answer


def _token(settings: Settings) -> str:
    given = os.environ.get("HEADGATE_TOKEN")
    if given:
        return given
    try:
        return str(json.loads((settings.state_dir / "secrets.json").read_text()).get("token", ""))
    except (OSError, json.JSONDecodeError):
        return ""
