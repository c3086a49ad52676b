"""How Sphinx builds these pages: ``sphinx-build -W --keep-going docs site``."""

from __future__ import annotations

from importlib.metadata import version as installed

project = "tracelet"
version = release = installed("tracelet")
author = copyright = "the tracelet developers"

extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
exclude_patterns = ["examples"]
nitpicky = True

html_theme = "furo"
html_title = f"tracelet {version}"
html_show_sphinx = False
