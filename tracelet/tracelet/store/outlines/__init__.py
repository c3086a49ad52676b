"""Outlines: of each metric of a large run, what a chart of its whole range draws.

An outline is a cache, like the index, in whose folder it lies: made from the journal, valid as long as the journal's
files are the same, and made again if it is gone. With it, the first charts of a run need not wait until its journal was
read.
"""
