"""Artifacts: files and folders copied into a run, with size and SHA-256.

What was recorded never changes: a second artifact of the same name becomes version 2, in a separate folder. The
copy is never a hard link to the original, since a program that rewrites its checkpoint in place would change both.
"""

from tracelet.run.artifacts.artifact_store import ArtifactStore

__all__ = ["ArtifactStore"]
