"""Promises on files: artifacts and media."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, Final

from tracelet.testing.conformance.far_mapping import FarMapping
from tracelet.testing.conformance.promises import BETTER, promise

_FILES: Final = ("log_artifact",)
_AS_FILES: Final = "stored as files: the plugin has no log_media, so they are given to log_artifact"
_MEDIA: Final = ("log_media", "log_artifact")


class FilePromises(FarMapping):
    """What a backend promises on artifacts and media."""

    @promise(
        "artifacts",
        "Artifacts arrive whole: files, and folders with their files",
        read_back=BETTER,
        hooks=_FILES,
        both=True,
    )
    def test_artifacts_arrive_whole(self, isolation: str) -> None:
        """A file, a file in a folder among the artifacts, a folder with folders, and bytes of every value."""
        files = self._make_files(
            {"model.bin": bytes(range(256)) * 40, "deep/a/b/c.txt": b"deep\n", "deep/d.txt": b"d"}
        )
        self._check_artifacts(
            (files / "model.bin", None), (files / "model.bin", "checkpoints/last"), (files / "deep", "data")
        )

    @promise("artifacts_empty", "Empty files arrive", read_back=BETTER, hooks=_FILES)
    def test_empty_files_arrive(self) -> None:
        """An empty file, alone and in a folder."""
        files = self._make_files({"empty.txt": b"", "folder/empty": b"", "folder/full": b"x"})
        self._check_artifacts((files / "empty.txt", None), (files / "folder", None))

    @promise("artifacts_names", "Files with any name arrive", read_back=BETTER, hooks=_FILES)
    def test_files_with_any_name_arrive(self) -> None:
        """Spaces, unicode, several dots, a leading dot or dash, signs of URLs and shells."""
        names = (
            "a b.txt",
            "\u00e9t\u00e9.txt",
            "\u8a9e.txt",
            "\U0001f600.png",
            "a.tar.gz",
            ".hidden",
            "-dash",
        )
        more = ("50%.txt", "a#b?c&d=e.txt", "a+b.txt", "quote's.txt", "[x]{y}.txt", "n" * 200 + ".txt")
        files = self._make_files({name: name.encode() for name in (*names, *more)})
        self._check_artifacts(*((files / name, None) for name in names), (files, "all"))

    @promise(
        "artifacts_version",
        "An artifact that is logged again arrives with its new content",
        read_back=BETTER,
        hooks=_FILES,
    )
    def test_an_artifact_logged_again_arrives(self) -> None:
        """The far side has the later content under the same path."""
        files = self._make_files({"model.bin": b"first"})
        harness = self.harness()
        harness.run.log_artifact(files / "model.bin")
        (files / "model.bin").write_bytes(b"second, longer")
        harness.run.log_artifact(files / "model.bin")
        harness.wait()
        self._require("artifacts", self.check_far_side(harness))

    def _make_files(self, files: dict[str, bytes]) -> Path:
        folder = self.folder() / "files"
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def _check_artifacts(self, *artifacts: tuple[Path, str | None]) -> None:
        harness = self.harness()
        for path, place in artifacts:
            harness.run.log_artifact(path, place)
        harness.wait(60)
        self._require("artifacts", self.check_far_side(harness))

    # -- media -----------------------------------------------------------------------------------------

    @promise("images", "Images arrive as images", read_back=BETTER, hooks=_MEDIA)
    def test_images_arrive(self) -> None:
        """PNG images at several steps, and without a step."""
        self._check_media("log_image", "samples/digit", png(1), png(2), png(3))

    @promise("tables", "Tables arrive as tables", read_back=BETTER, hooks=_MEDIA)
    def test_tables_arrive(self) -> None:
        """Rows with numbers, texts and nothing."""
        rows = [
            {"image": "a.png", "label": 3, "score": 0.5},
            {"image": "\u8a9e.png", "label": None, "score": 0.25},
        ]
        self._check_media("log_table", "predictions", rows, rows[:1])

    @promise("histograms", "Histograms arrive as histograms", read_back=BETTER, hooks=_MEDIA)
    def test_histograms_arrive(self) -> None:
        """Numbers around zero."""
        values = [(number % 17 - 8) / 4 for number in range(200)]
        self._check_media("log_histogram", "weights", values, values[:50])

    @promise("texts", "Texts arrive as texts", read_back=BETTER, hooks=_MEDIA)
    def test_texts_arrive(self) -> None:
        """Several lines, unicode, and an empty text."""
        self._check_media("log_text", "story", "Once upon a time\nthere was a \u8a9e.\n", "short", "")

    @promise("figures", "Figures arrive as figures", read_back=BETTER, hooks=_MEDIA)
    def test_figures_arrive(self) -> None:
        """A figure as Matplotlib makes it: an object that can save itself."""
        self._check_media("log_figure", "curve", Figure(4), Figure(5))

    def _check_media(self, method: str, name: str, *contents: Any) -> None:
        if "log_media" not in self._hooks():
            self._request.node.user_properties.append(("accepted", _AS_FILES))
        harness = self.harness()
        for step, content in enumerate(contents):
            getattr(harness.run, method)(name, content, step=step)
        getattr(harness.run, method)(f"{name}/last", contents[0])
        harness.wait(60)
        part = "media" if "log_media" in self._hooks() else "artifacts"
        self._require(part, self.check_far_side(harness))

    def _require(self, part: str, found: Any) -> None:
        if self._can_read_back() and getattr(found, part) is None:
            self.not_applicable(f"read_back() returns no {part}")


class Figure:
    """An object with the method by which figures save themselves."""

    def __init__(self, shade: int) -> None:
        self._shade = shade

    def savefig(self, file: Any, **options: Any) -> None:
        """Write the figure as PNG."""
        file.write(png(self._shade))


def png(shade: int, size: int = 8) -> bytes:
    """Return a small grey image as PNG."""
    rows = b"".join(b"\0" + bytes((shade * 20 + x + y) % 256 for x in range(size)) for y in range(size))
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
