"""HTTP in, one call down, JSON out."""
