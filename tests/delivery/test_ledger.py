"""Where a backend stands, on disk."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import pytest

from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger, backends, ledger_file
from tracelet.errors import JournalError
from tracelet.journal import Cursor


def filled(run_dir, name: str = "backend") -> Ledger:
    ledger = Ledger(run_dir, name)
    page = ledger.page("w1")
    page.cursor = Cursor(17, ((3, 5),))
    page.delivered = 10
    page.excluded["routes"] = 2
    page.dropped["refused (ValueError)"] = 1
    ledger.page("w2").delivered = 5
    ledger.retries, ledger.error = 4, "down"
    return ledger


def test_what_is_saved_is_read_back(tmp_path):
    filled(tmp_path).save()
    again = Ledger(tmp_path, "backend")
    assert again.pages == filled(tmp_path).pages
    assert (again.delivered, again.excluded, again.dropped) == (15, 2, {"refused (ValueError)": 1})
    assert (again.passed, again.retries, again.error) == (18, 4, "down")
    assert stat.S_IMODE(again.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(again.file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["plain", "with/slash", "módulo:Class", "..", "a.b"])
def test_any_name_gets_a_file_of_its_own(tmp_path, name):
    filled(tmp_path, name).save()
    assert ledger_file(tmp_path, name).parent == tmp_path / "delivery"
    assert backends(tmp_path) == [name]
    assert Ledger(tmp_path, name).delivered == 15


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": 99}', "\0" * 100])
def test_a_file_that_cannot_be_used_is_set_aside(tmp_path, text):
    filled(tmp_path).save()
    file = ledger_file(tmp_path, "backend")
    file.write_text(text)
    with pytest.raises(JournalError, match="gets the whole run again"):
        Ledger(tmp_path, "backend")
    assert file.read_text() == text
    assert Ledger.open(tmp_path, "backend").pages == {}
    assert [each.read_text() for each in file.parent.glob("*.unusable-*")] == [text]
    assert backends(tmp_path) == []


def test_saving_replaces_the_file_in_one_step(tmp_path):
    ledger = filled(tmp_path)
    ledger.save()
    with ledger.file.open() as before:
        ledger.page("w1").delivered = 11
        ledger.save()
        assert json.load(before)["writers"]["w1"]["delivered"] == 10
    assert Ledger(tmp_path, "backend").delivered == 16
    assert [file.name for file in ledger.file.parent.iterdir()] == ["backend.json"]


def test_quick_saves_leave_the_durable_file_alone(tmp_path):
    ledger = filled(tmp_path)
    ledger.save()
    ledger.page("w1").delivered = 20
    ledger.save(durable=False)
    assert json.loads(ledger.file.read_text())["writers"]["w1"]["delivered"] == 10
    assert Ledger(tmp_path, "backend").delivered == 25
    ledger.recent.write_bytes(bytes(100))  # as after a loss of power
    assert Ledger(tmp_path, "backend").delivered == 15
    ledger.save()
    assert Ledger(tmp_path, "backend").delivered == 25
    assert not ledger.recent.exists()


def test_an_older_quick_save_does_not_count(tmp_path):
    ledger = filled(tmp_path)
    ledger.save(durable=False)
    old = ledger.recent.read_bytes()
    ledger.page("w1").delivered = 20
    ledger.save()
    ledger.recent.write_bytes(old)  # as if the process had been killed before it was removed
    assert Ledger(tmp_path, "backend").delivered == 25


@pytest.mark.parametrize("durable", [True, False])
def test_a_disk_that_takes_a_part_only_leaves_what_was_there(tmp_path, durable):
    """A write that comes up short is no error by itself: what it leaves must not take the place of a whole file."""
    program = f"""
import resource, sys
from pathlib import Path
from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]), "backend")
ledger.page("writer").delivered = 1
ledger.save(durable={durable})
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
for number in range(1000):
    ledger.page(f"writer{{number}}").delivered = 1
try:
    ledger.save(durable={durable})
except OSError:
    print("told")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    assert done.stdout == "told\n"
    assert Ledger(tmp_path, "backend").pages.keys() == {"writer"}
    assert len(list((tmp_path / "delivery").iterdir())) == 1, "nothing half written is left"


def test_a_file_that_cannot_be_used_is_no_trouble_for_who_only_looks(stage, backend):
    """Another process delivers, and this one is asked for its status, or is to end."""
    ledger_file(stage.run_dir, "backend").parent.mkdir()
    ledger_file(stage.run_dir, "backend").write_text("{")
    lease = Lease(stage.run_dir, "backend", stage.settings)
    assert lease.acquire()
    stage.log(10)
    stage.add(backend())
    stage.wait_for(lambda: stage.status()["state"] == "standby")
    assert stage.status()["pending"] == 10
    assert stage.delivery.finish(1) == {}
    lease.release()
