"""Names of metrics, for programs that write event files into several folders."""

from __future__ import annotations

__all__ = ["Names"]


class Names:
    """The name of each tag of each log folder.

    A tag belongs to the folder that used it first, and is its own name there. In any other folder, the folder's path
    comes first, as far as it differs from that of the first one: ``loss`` in ``runs/train`` and then in ``runs/val``
    gives ``loss`` and ``val/loss``.
    """

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str] = {}  # by folder and tag
        self._owners: dict[str, str] = {}  # the folder that used a tag first
        self._prefixes: dict[tuple[str, str], str] = {}  # by the owner's folder and the other one

    def __call__(self, folder: str, tag: str) -> str:
        """Return the name of a tag in a folder; always the same one."""
        name = self.known.get((folder, tag))
        if name is None:
            name = self.known[folder, tag] = self._choose(_parts(folder), tag)
        return name

    def _choose(self, folder: tuple[str, ...], tag: str) -> str:
        own = "/".join(folder)
        owner = self._owners.setdefault(tag, own)
        return tag if owner == own else f"{self._prefix(owner, own)}/{tag}"

    def _prefix(self, owner: str, own: str) -> str:
        prefix = self._prefixes.get((owner, own))
        if prefix is None:
            prefix = _difference(owner, own)
            if prefix in self._prefixes.values():  # of another folder, such as b/val beside a/val
                prefix = own.lstrip("/")
            self._prefixes[owner, own] = prefix
        return prefix


def _parts(folder: str) -> tuple[str, ...]:
    parts = folder.replace("\\", "/").split("/")
    return tuple(part for at, part in enumerate(parts) if part != "." and (part or at == 0))


def _difference(owner: str, own: str) -> str:
    """Return the part of a path that differs from another one; its last part, if nothing does."""
    first, second = owner.split("/"), own.split("/")
    same = 0
    while same < min(len(first), len(second)) and first[same] == second[same]:
        same += 1
    return "/".join(second[same:]) or second[-1]
