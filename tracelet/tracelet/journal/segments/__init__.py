"""The byte layout of segments, shared by writing, reading and compacting."""
