"""Configuration is tested in folders and environments made for each test."""

from __future__ import annotations

import textwrap

import pytest

from tracelet.secrets import redaction


@pytest.fixture(autouse=True)
def no_secrets_known(monkeypatch):
    """Secrets are remembered process-wide; a test should not see those of another."""
    monkeypatch.setattr(redaction, "_registry", redaction._Registry())


@pytest.fixture
def folder(tmp_path):
    """A project folder that can write files into itself."""

    class Folder:
        root = tmp_path / "digits"
        home = tmp_path / "home"
        environ = {"HOME": str(home)}

        def write(self, name, text):
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
            return file

        def write_user(self, text):
            file = self.home / ".config" / "tracelet" / "tracelet.toml"
            file.parent.mkdir(parents=True)
            file.write_text(textwrap.dedent(text), encoding="utf-8")
            return file

        def load(self, *, environ=(), **given):
            from tracelet.config import load_config

            return load_config(self.root, environ={**self.environ, **dict(environ)}, **given)

    Folder.root.mkdir()
    Folder.home.mkdir()
    return Folder()
