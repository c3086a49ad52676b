"""Smaller files with the very same records, for runs that have ended."""
