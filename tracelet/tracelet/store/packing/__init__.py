"""Runs packed into one HTML file: a page that shows them anywhere, with the exact files to restore them from."""

from tracelet.store.packing.pack import Packed, pack
from tracelet.store.packing.unpack import UnpackedRun, is_pack, unpack

__all__ = ["Packed", "UnpackedRun", "is_pack", "pack", "unpack"]
