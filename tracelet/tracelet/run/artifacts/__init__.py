"""Artifacts: files and folders that a run keeps a copy of, with size and SHA-256.

What was recorded never changes: a second artifact of the same name becomes version 2, in a folder of its own. The
copy is never a hard link to the original, since a program that rewrites its checkpoint in place would change both.
"""

from tracelet.run.artifacts.artifact_store import ArtifactStore

__all__ = ["ArtifactStore"]
