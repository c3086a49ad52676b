"""A repository of Aim, and Aim's own reader."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from shutil import copy2, copytree
from typing import Any

import pytest


@pytest.fixture(scope="session")
def aim_repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an empty repository. Aim takes seconds to create one, so tests share it."""
    if importlib.util.find_spec("aim") is None:
        pytest.skip("needs the package aim (pip install 'tracelet[aim]')")
    from aim.sdk.repo import Repo

    folder = tmp_path_factory.mktemp("aim")
    Repo(str(folder), init=True)
    return folder


@pytest.fixture
def read_aim(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Any]:
    """Return a function that opens a run of a repository with Aim's SDK, or returns None if there is none.

    It reads a copy, since it would otherwise share open databases with the backend in this process. Aim's page
    indexes runs in the background before it shows them; here the index is made at once.
    """
    if importlib.util.find_spec("aim") is None:
        pytest.skip("needs the package aim (pip install 'tracelet[aim]')")
    from aim.sdk.index_manager import RepoIndexManager
    from aim.sdk.repo import Repo

    def read(folder: Path, run_hash: str) -> Any:
        source, copy = folder / ".aim", tmp_path_factory.mktemp("copy") / ".aim"
        if not (source / "meta" / "chunks" / run_hash).exists():
            return None
        for part in ("meta", "seqs"):
            if (source / part / "chunks" / run_hash).exists():
                copytree(source / part / "chunks" / run_hash, copy / part / "chunks" / run_hash)
        for file in source.glob("*"):
            if file.is_file():
                copy2(file, copy)
        repo = Repo(str(copy.parent))
        RepoIndexManager(repo).index(run_hash)
        repo.container_pool.clear()
        return repo.get_run(run_hash)

    return read
