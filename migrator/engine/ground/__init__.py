"""I am what every operation stands on: its record, its ownership, its connections, who is in its way."""
