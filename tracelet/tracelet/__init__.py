"""Experiment tracking as a plugin host. The public names resolve on first use: importing costs nothing."""
