"""Documented import paths for plugin authors. The code lives in ``tracelet.host`` and ``tracelet_hookspecs``."""
