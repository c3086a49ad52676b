"""Plugins that measure the machine."""
