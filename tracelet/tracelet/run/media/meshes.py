"""Meshes and point clouds: files, encoded bytes, and arrays, which become PLY."""

from __future__ import annotations

import re
from typing import Any, Final

from tracelet.errors import RecordingError
from tracelet.run.media.arrays import as_array, numpy
from tracelet.run.media.encoded import is_encoded, read_encoded

_SIGNATURES: Final = (
    (re.compile(rb"ply\r?\n"), ".ply"),
    (re.compile(rb"glTF"), ".glb"),
    (re.compile(rb"\s*\{.*\"asset\"", re.DOTALL), ".gltf"),
    (re.compile(rb"solid\b"), ".stl"),
    (re.compile(rb"(#[^\n]*\n|\s|mtllib[^\n]*\n|[og] [^\n]*\n)*v "), ".obj"),
)


def mesh_bytes(vertices: Any, faces: Any, colors: Any) -> tuple[bytes, str, dict[str, Any]]:
    """Return the bytes of a mesh, its file's suffix, and what a reader has to know of it.

    Takes a path or encoded bytes (PLY, glTF, STL as text, OBJ), or arrays, which become binary PLY: ``vertices`` of
    shape (number, 3), ``faces`` of shape (number, 3) with the indices of vertices, and ``colors`` of shape (number, 3)
    for each vertex, 0 to 255 or, as floats, 0 to 1. A leading axis of one is accepted. Without faces it is a point
    cloud.

    Raises:
        RecordingError: it is not a mesh.
    """
    if is_encoded(vertices):
        return *read_encoded(vertices, "mesh", _SIGNATURES), {}
    if numpy() is None:
        raise _not_a_mesh("vertices", "an array without NumPy; run: pip install 'tracelet[numpy]'")
    np = numpy()
    points = _triples(vertices, "vertices")
    if points.dtype.kind != "f":
        points = points.astype(np.float64)
    kind = "float" if points.dtype.itemsize <= 4 else "double"
    fields = [(axis, "<f4" if kind == "float" else "<f8") for axis in "xyz"]
    header = [f"property {kind} {axis}" for axis in "xyz"]
    shades: Any = None if colors is None else _shades(colors, len(points))
    if shades is not None:
        fields += [(name, "u1") for name in ("red", "green", "blue")]
        header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    table = np.empty(len(points), dtype=fields)
    for column, axis in enumerate("xyz"):
        table[axis] = points[:, column]
    for column, name in enumerate(("red", "green", "blue") if shades is not None else ()):
        table[name] = shades[:, column]
    triangles = None if faces is None else _faces(faces, len(points))
    return _ply(header, table, triangles), ".ply", {"vertices": len(points), **_count(triangles)}


def _count(triangles: Any) -> dict[str, Any]:
    return {} if triangles is None else {"faces": len(triangles)}


def _ply(header: list[str], table: Any, triangles: Any) -> bytes:
    """Return a file in the format PLY 1.0, binary and little-endian."""
    np = numpy()
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {len(table)}", *header]
    body: bytes = table.tobytes()
    if triangles is not None:
        lines += [f"element face {len(triangles)}", "property list uchar int vertex_indices"]
        corners = np.empty(len(triangles), dtype=[("count", "u1"), ("corners", "<i4", 3)])
        corners["count"], corners["corners"] = 3, triangles
        body += corners.tobytes()
    return "\n".join([*lines, "end_header", ""]).encode() + body


def _triples(values: Any, what: str) -> Any:
    array = as_array(values)
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim != 2 or array.shape[1] != 3 or not len(array) or array.dtype.kind not in "iuf":
        raise _not_a_mesh(what, f"an array of shape {array.shape} of {array.dtype}")
    return array


def _faces(faces: Any, vertices: int) -> Any:
    triangles = _triples(faces, "faces")
    if triangles.min() < 0 or triangles.max() >= vertices:
        raise _not_a_mesh("faces", f"an index outside of 0 to {vertices - 1}")
    return triangles


def _shades(colors: Any, vertices: int) -> Any:
    np = numpy()
    shades = _triples(colors, "colors")
    if len(shades) != vertices:
        raise _not_a_mesh("colors", f"{len(shades)} colors for {vertices} vertices")
    if shades.dtype.kind == "f" and float(np.nanmax(shades)) <= 1:
        shades = shades * 255
    return np.rint(np.clip(np.nan_to_num(shades), 0, 255)).astype(np.uint8)


def _not_a_mesh(what: str, found: str) -> RecordingError:
    return RecordingError(
        f"log_mesh: {what}: expected a path, encoded bytes, or an array of shape (number, 3), found {found}",
        reason="mesh: not a mesh",
    )
