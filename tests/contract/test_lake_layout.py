"""The names of the lake's objects: unambiguous, stable, and valid in file systems and object stores."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tracelet_hookspecs import lake_layout as layout

TEXTS = st.text(st.characters(), min_size=1, max_size=300)
PLACES = st.builds(layout.Place, st.integers(0, 2**63 - 1), st.integers(0, 2**31 - 1))


@given(TEXTS, TEXTS)
def test_different_texts_have_different_parts(one, other):
    assert (layout.quote_part(one) == layout.quote_part(other)) == (one == other)


@given(TEXTS)
def test_a_part_is_valid_everywhere_and_fits(text):
    part = layout.quote_part(text)
    assert len(part) <= 180
    assert re.fullmatch(r"[ -~]+", part)
    assert not set(part) & set('/\\:*?"<>|=#[]')


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_paths_of_a_run_lead_back_to_it(project, run):
    if project == layout.NO_PROJECT:
        project = ""
    assert layout.parse_run_folder(layout.run_folder(project, run)) == (project, run)
    assert layout.parse_run_folder("bucket/" + layout.data_folder(project, run, "metrics")) == (project, run)
    assert layout.parse_document_path(layout.document_path(project, run)) == (project, run)
    assert layout.parse_run_folder(layout.document_path(project, run)) is None


@given(st.text(min_size=1, max_size=20), PLACES, PLACES)
def test_the_name_of_a_data_file_can_be_read_back(writer, first, last):
    name = layout.FileName(writer, first, last)
    path = layout.data_file("digits", "r1", "metrics", name)
    if not layout.is_merged(path):  # a writer's id is a UUID
        assert layout.parse_file_name(path) == name


@given(st.lists(st.integers(0, 10**15), min_size=2, max_size=10, unique=True))
def test_names_of_a_writer_sort_as_their_records(starts):
    paths = [
        layout.data_file("p", "r", "metrics", layout.FileName("w", layout.Place(start), layout.Place(start)))
        for start in sorted(starts)
    ]
    assert paths == sorted(paths)


def test_merged_files_are_recognized():
    path = "project=p/run=r/metrics/" + layout.merged_name(3, "0123456789abcdef")
    assert path == "project=p/run=r/metrics/merged-000003-0123456789ab.parquet"
    assert layout.is_merged(path)
    assert layout.parse_file_name(path) is None


def test_the_layout_is_the_documented_one():
    name = layout.FileName("ab12", layout.Place(1), layout.Place(40, 3))
    assert layout.data_file("a/b", "run 1", "metrics", name) == (
        "project=a%2Fb/run=run%201/metrics/ab12-0000000000000001-0000000000000040.3.parquet"
    )
    assert layout.document_path("", "r") == "runs/project=__HIVE_DEFAULT_PARTITION__/r.json"
    assert layout.manifest_path("p", "r") == "project=p/run=r/merged.json"
    assert layout.artifact_path("abcd") == "artifacts/sha256/ab/abcd"
