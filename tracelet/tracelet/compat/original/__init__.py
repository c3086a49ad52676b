"""tracelet's first API: a session of the program, experiments as objects, captures, and typed artifacts.

Programs that were written for it keep working. The names are imported from ``tracelet``.
"""
