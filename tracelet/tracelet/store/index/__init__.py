"""A cache of what the journals of all runs add up to, for lists. Delete it at any time: it is rebuilt."""

from tracelet.store.index.index import Index

__all__ = ["Index"]
