"""Plugins that receive what a run records."""
