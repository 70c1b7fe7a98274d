"""I am the form of the service token, as clients send it and the API expects it."""

from __future__ import annotations

TOKEN_ID = "localcontrol"


def authorization(secret: str) -> str:
    """Return the Authorization header of a service token."""
    return f"{TOKEN_ID}:{secret}"
