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


class NotApproved(DeployError):
    """Somebody must approve the request, or confirm what it would do, before it is deployed."""


class NotAllowed(DeployError):
    """It can be done, but not by who asked for it."""
