"""From two schemas to one swapped table, and back."""
