"""Smaller files with exactly the same records, for runs that have ended."""
