"""Schemas as values: reading, comparing, merging and proving them."""
