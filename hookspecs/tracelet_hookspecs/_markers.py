"""The two decorators of the contract, both of pluggy's project ``tracelet``."""

from __future__ import annotations

from typing import Final

import pluggy

PROJECT_NAME: Final = "tracelet"

hookspec: Final = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl: Final = pluggy.HookimplMarker(PROJECT_NAME)
