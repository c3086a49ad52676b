"""Check what a wheel of tracelet holds: exactly three packages, typed, licensed, with its entry points.

python .ci/check_wheel.py dist/tracelet-*.whl
"""

from __future__ import annotations

import configparser
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PACKAGES = {"tracelet", "tracelet_hookspecs", "tracelet_builtin_plugins"}
SOURCES = {
    "tracelet": "tracelet",
    "tracelet_hookspecs": "hookspecs",
    "tracelet_builtin_plugins": "builtin_plugins",
}


def sources(root: Path) -> set[str]:
    """Return the paths that the wheel should have, from the three source roots."""
    return {
        file.relative_to(root / source).as_posix()
        for package, source in SOURCES.items()
        for file in (root / source / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def faults(wheel: zipfile.ZipFile, expected: set[str]) -> Iterator[str]:
    """Say everything that is wrong with the wheel."""
    names = set(wheel.namelist())
    [info] = {name.split("/")[0] for name in names if ".dist-info/" in name}
    packages = {name.split("/")[0] for name in names} - {info}
    if packages != PACKAGES:
        yield f"expected the packages {sorted(PACKAGES)}, found {sorted(packages)}"
    held = {name for name in names if not name.startswith(info)}
    yield from (f"{name}: in the source, not in the wheel" for name in sorted(expected - held))
    yield from (f"{name}: in the wheel, not in the source" for name in sorted(held - expected))
    yield from (
        f"{package}/py.typed is missing" for package in PACKAGES if f"{package}/py.typed" not in names
    )
    if f"{info}/licenses/LICENSE" not in names:
        yield "the licence is missing"
    yield from entry_point_faults(wheel.read(f"{info}/entry_points.txt").decode(), names)


def entry_point_faults(text: str, names: set[str]) -> Iterator[str]:
    """Say which entry points are missing or lead nowhere."""
    entry_points = configparser.ConfigParser(delimiters=["="])
    entry_points.optionxform = str  # type: ignore[assignment, method-assign]
    entry_points.read_string(text)
    for group in ("console_scripts", "tracelet.plugins"):
        if not entry_points.has_section(group):
            yield f"no entry points in group {group}"
            continue
        for name, target in entry_points.items(group):
            module = PurePosixPath(*target.split(":")[0].split("."))
            if not names & {f"{module}.py", f"{module}/__init__.py"}:
                yield f"entry point {group}: {name} = {target}: no such module in the wheel"


def main() -> int:
    """Check the wheel named on the command line."""
    root = Path(__file__).resolve().parents[1]
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        found = list(faults(wheel, sources(root)))
        print(
            f"{sys.argv[1]}: {len(wheel.namelist())} files, {len(found) or 'no'} faults", *found, sep="\n  "
        )
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
