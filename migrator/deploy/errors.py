"""I am the reasons a deploy request is refused."""

from __future__ import annotations


class DeployError(Exception):
    """A deploy request cannot do what was asked; the message says why and what to do next."""


class UnknownRequest(DeployError):
    """There is no deploy request of that number."""


class IllegalMove(DeployError):
    """The deploy request is in a state in which this cannot be done."""


class NothingToDeploy(DeployError):
    """The branch does not differ from what it would be deployed into."""


class NotDeployable(DeployError):
    """The change conflicts with production, or holds something that cannot be deployed."""
