"""I am the form of a service token, as clients send it and the API expects it."""

from __future__ import annotations

from router.model import LOCAL


def authorization(token: str) -> str:
    """Return the Authorization header of a token, `ID:SECRET`, or a secret alone: the state folder's."""
    return token if ":" in token else f"{LOCAL.id}:{token}"
