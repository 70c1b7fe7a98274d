"""Deploy requests: proposed, checked, queued, deployed, reverted."""
