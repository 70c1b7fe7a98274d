"""I read what a form sends, and say whether it was sent by one of our own pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

FIELDS_MAX: Final = 20
CONTENT_TYPE: Final = "application/x-www-form-urlencoded"
OUR_PATHS: Final = re.compile(r"/databases(?:/[a-z0-9-]{1,63}){0,2}(?:/console)?")


class FormRefused(Exception):
    """What came is not what a form of ours sends; the message says what to do."""


def fields_of(body: bytes, content_type: str) -> dict[str, str]:
    """Return what a form's fields hold, with the line ends that servers expect. Raises FormRefused."""
    if content_type.partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise FormRefused(f"forms are taken as {CONTENT_TYPE} only")
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise FormRefused("the form cannot be read: load its page again, and send it once more") from None
    return {name: text.replace("\r\n", "\n") for name, text in pairs}


def check_origin(headers: Mapping[str, str]) -> None:
    """Raise FormRefused unless the browser says that one of our own pages has sent the request.

    Browsers tell by Sec-Fetch-Site where they know the connection to be safe, and by Origin everywhere; pages
    of others can forge neither.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        ours = site == "same-origin"
    else:
        origin = headers.get("origin", "")
        ours = bool(origin) and urlsplit(origin).netloc == headers.get("host")
    if not ours:
        raise FormRefused(
            "this was not sent by a page of Headgate, or a proxy in between has changed the header Host: "
            "open the page itself, and send its form"
        )


def token_in(text: str) -> str:
    """Return the service token that somebody has pasted, perhaps with the words it was printed with."""
    return text.strip().removeprefix("export ").removeprefix("HEADGATE_TOKEN=").strip()


def our_path(text: str) -> str:
    """Return the path of a page of ours that a login may lead to: the given one if it is one."""
    return text if OUR_PATHS.fullmatch(text) else "/databases"
