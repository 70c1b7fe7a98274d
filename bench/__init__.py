"""Measurements beside what else people use; each prints one JSON object as its last line."""
