"""Experiment tracking as a plugin host. The public names resolve on first use, so that importing costs nothing."""
