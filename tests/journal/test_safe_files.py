"""Files in a folder of somebody else, and descriptors that the program closed."""

import errno
import gc
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from tracelet.journal import read_columns
from tracelet.safe_files import (
    Descriptor,
    LostDescriptorError,
    UnsafeFileError,
    list_folder,
    open_file,
    open_folder,
    read_file,
    remove_file,
    replace_file,
    walk_files,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret").write_text("private key")
    made = tmp_path / "run"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "file").write_bytes(b"content")
    return made


def test_reads_a_regular_file(folder):
    assert read_file(folder, "sub/file", limit=100) == b"content"
    assert list_folder(folder, "sub") == ["file"]
    assert list(walk_files(folder)) == ["sub/file"]


@pytest.mark.parametrize("path", ["../secret", "sub/../../secret", "/etc/passwd", "sub/\0", ".."])
def test_a_path_that_leads_out_is_refused(folder, path):
    for use in (open_file, open_folder, remove_file, lambda *at: replace_file(*at, b"x")):
        with pytest.raises(UnsafeFileError, match="expected a path inside the folder, found"):
            use(folder, path)
    assert (folder.parent / "secret").read_text() == "private key"


def test_links_are_refused_whichever_component_they_are(folder):
    (folder / "link").symlink_to(folder.parent / "secret")
    (folder / "away").symlink_to(folder.parent)
    with pytest.raises(UnsafeFileError, match="run/link: expected a regular file, found a symbolic link"):
        read_file(folder, "link", limit=100)
    with pytest.raises(UnsafeFileError, match="run/away: expected a folder, found a symbolic link"):
        read_file(folder, "away/secret", limit=100)
    for flags in (os.O_WRONLY | os.O_TRUNC, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(UnsafeFileError):
            open_file(folder, "link", flags)
    with pytest.raises(UnsafeFileError):
        open_folder(folder, "away", create=True)
    assert list(walk_files(folder)) == ["sub/file"]
    assert (folder.parent / "secret").read_text() == "private key"


def test_links_in_a_circle_are_refused(folder):
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    with pytest.raises(UnsafeFileError, match="symbolic links that lead in a circle"):
        open_folder(folder / "one")
    assert read_columns(folder / "one") == {}


def test_what_is_no_regular_file_is_refused_at_once(folder):
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(folder)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    for name, kind in (("pipe", "a named pipe"), ("socket", "a socket"), ("sub", "a folder")):
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT):
            with pytest.raises(UnsafeFileError, match=f"expected a regular file, found {kind}"):
                open_file(folder, name, flags)


def test_a_size_is_bounded_by_what_the_caller_accepts(folder):
    os.truncate(folder / "sub" / "file", 1 << 40)
    with pytest.raises(UnsafeFileError, match=f"expected at most 1000 bytes, found {1 << 40} bytes"):
        read_file(folder, "sub/file", limit=1000)


def test_what_is_missing_is_not_found(folder):
    with pytest.raises(FileNotFoundError):
        read_file(folder, "sub/none", limit=1)
    with pytest.raises(FileNotFoundError):
        open_folder(folder, "none/file")


def test_replacing_puts_a_file_in_place_of_a_link(folder):
    (folder / "link").symlink_to(folder.parent / "secret")
    replace_file(folder, "link", b"new", durable=True)
    assert (folder / "link").read_bytes() == b"new"
    assert (folder.parent / "secret").read_text() == "private key"
    assert sorted(os.listdir(folder)) == ["link", "sub"]
    assert (folder / "link").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_exchanged_again_and_again_never_leads_out(folder):
    """Somebody swaps the folder for a link while it is read: what is read is always from inside."""
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.rename(folder / "sub", folder / "kept")
            os.symlink(folder.parent / "elsewhere", folder / "sub")
            os.unlink(folder / "sub")
            os.rename(folder / "kept", folder / "sub")

    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "file").write_bytes(b"private key")
    thread = threading.Thread(target=swap)
    thread.start()
    outcomes = set()
    tries, end = 0, time.monotonic() + 60
    try:
        while tries < 3000 or (b"content" not in outcomes and time.monotonic() < end):
            tries += 1
            try:
                outcomes.add(read_file(folder, "sub/file", limit=100))
            except OSError as error:
                outcomes.add(type(error))
    finally:
        stop.set()
        thread.join()
    assert b"content" in outcomes
    assert b"private key" not in outcomes


# --- descriptors ---------------------------------------------------------------------------------------------


def test_a_descriptor_that_the_program_closed_is_not_used_or_closed_again(folder):
    opened = open_file(folder, "sub/file")
    os.close(opened.fd)
    others = [os.open(folder / f"mine{number}", os.O_RDWR | os.O_CREAT) for number in range(4)]
    with pytest.raises(LostDescriptorError) as caught:
        _ = opened.fd
    assert caught.value.errno == errno.EBADF
    assert opened.is_lost
    del opened
    for other in others:
        os.fstat(other)
        os.close(other)


def test_a_number_that_is_ours_again_belongs_to_the_newer_one(folder):
    first = open_file(folder, "sub/file")
    number = first.fd
    os.close(number)
    second = open_file(folder, "sub/file")
    assert second.fd == number
    assert first.is_lost
    del first
    assert os.pread(second.fd, 7, 0) == b"content"


def test_a_descriptor_closes_with_its_last_reference(folder):
    opened = open_file(folder, "sub/file")
    number = opened.fd
    del opened
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_the_numbers_of_the_standard_streams_are_never_taken(folder):
    code = (
        "import os, sys\nfrom tracelet.safe_files import open_file\nos.closerange(0, 3)\n"
        "files = [open_file(sys.argv[1], 'sub/file') for _ in range(5)]\n"
        "os._exit(0 if min(file.fd for file in files) > 2 else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], timeout=60).returncode == 0


def test_many_descriptors_leave_nothing_open(folder):
    gc.collect()
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for _ in range(200):
        read_file(folder, "sub/file", limit=100)
        with pytest.raises(OSError):
            read_file(folder, "sub", limit=100)
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before
    assert isinstance(open_file(folder, "sub/file"), Descriptor)
