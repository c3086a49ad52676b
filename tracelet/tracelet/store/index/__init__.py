"""A cache of the details and statistics of all runs, for lists. It may be deleted at any time and is rebuilt."""

from tracelet.store.index.index import Index

__all__ = ["Index"]
