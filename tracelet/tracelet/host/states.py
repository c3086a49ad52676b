"""The states of a plugin: one table of transitions, and one function that moves."""

from __future__ import annotations

from typing import Final

from tracelet.errors import IllegalTransitionError
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

#: The states that can follow each state. Every state can lead to ERROR. STOPPED and ERROR can be initialized again,
#: and ERROR can also go back to the steps before that.
TRANSITIONS: Final[dict[S, frozenset[S]]] = {
    S.DISCOVERED: frozenset({S.LOADED, S.ERROR}),
    S.LOADED: frozenset({S.VALIDATED, S.ERROR}),
    S.VALIDATED: frozenset({S.INITIALIZED, S.ERROR}),
    S.INITIALIZED: frozenset({S.INITIALIZED, S.ACTIVE, S.STOPPED, S.ERROR}),
    S.ACTIVE: frozenset({S.STOPPED, S.ERROR}),
    S.STOPPED: frozenset({S.INITIALIZED, S.ERROR}),
    S.ERROR: frozenset({S.LOADED, S.VALIDATED, S.INITIALIZED, S.STOPPED, S.ERROR}),
}


def move(info: PluginInfo, new: S) -> S:
    """Move a plugin to another state and return the state it was in.

    Raises :class:`~tracelet.errors.IllegalTransitionError` if the table does not have the move.
    """
    old = S(info.state)
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(state.name for state in sorted(TRANSITIONS[old]))
        raise IllegalTransitionError(
            f"plugin {info.name!r}: cannot go from {old.name} to {new.name}; from {old.name} it can go to {allowed}",
            plugin=info.name,
            step=new.name.lower(),
        )
    info.state = new
    return old
