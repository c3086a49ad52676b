"""Audio, video, meshes, embeddings, HTML, confusion matrices and curves: what becomes of which input."""

from __future__ import annotations

import io
import json
import math
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn import metrics

import tracelet
from tracelet.errors import RecordingError
from tracelet.run.media.classification import pr_curve_json, roc_curve_json


@pytest.fixture
def record(tmp_path):
    """Record with a function, and return the record of the only medium, its file's path, and the run."""

    def record(call, *args, strict=True, **options):
        with tracelet.start_run("media", dir=tmp_path, plugins=[], strict=strict) as run:
            getattr(run, call)("a/b", *args, **options)
        found = tracelet.open_store(tmp_path).run(run.id)
        media = [one for one in found.artifacts if one.get("media")]
        return (media[0], run.dir / media[0]["path"]) if media else (None, None)

    return record


def samples(path):
    with wave.open(str(path)) as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return file.getframerate(), data


def test_audio_of_floats_becomes_wav_with_16_bits(record):
    sound = np.sin(np.linspace(0, 100, 8000)).astype(np.float32)
    medium, path = record("log_audio", sound, 3, sample_rate=8000)
    rate, data = samples(path)
    assert (medium["media"], medium["step"], path.suffix, rate, data.shape) == (
        "audio",
        3,
        ".wav",
        8000,
        (8000, 1),
    )
    assert np.abs(data[:, 0] / 32767 - sound).max() < 1 / 32767
    assert medium["metadata"] == {"sample_rate": 8000, "channels": 1, "seconds": 1.0}


@pytest.mark.parametrize("shape", [(100, 2), (2, 100)])
def test_audio_with_channels_first_or_last(record, shape):
    _, path = record("log_audio", np.zeros(shape), sample_rate=100)
    assert samples(path)[1].shape == (100, 2)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("i2", -5, -5), ("i4", 1 << 20, 16), ("u1", 255, 127 * 256), ("i1", -1, -256)],
)
def test_audio_of_integers_keeps_its_level(record, kind, value, expected):
    _, path = record("log_audio", np.full(4, value, kind), sample_rate=4)
    assert samples(path)[1].ravel().tolist() == [expected] * 4


def test_audio_out_of_range_is_clipped_and_counted(record):
    medium, path = record("log_audio", np.array([0.5, 2.0, np.nan, -np.inf]), sample_rate=4)
    assert medium["metadata"]["clipped"] == 3
    assert samples(path)[1].ravel().tolist() == [16384, 32767, 0, -32767]


def test_encoded_media_are_kept_byte_for_byte(record, tmp_path):
    for call, data, suffix in [
        ("log_audio", b"fLaC\0\0 and so on", ".flac"),
        ("log_video", b"\0\0\0\x18ftypmp42 and so on", ".mp4"),
        ("log_mesh", b"# a comment\nv 0 0 0\n", ".obj"),
    ]:
        file = tmp_path / f"given{suffix}"
        file.write_bytes(data)
        for given_as in (data, file, str(file), io.BytesIO(data)):
            _, path = record(call, given_as)
            assert (path.suffix, path.read_bytes()) == (suffix, data)


@pytest.mark.parametrize("shape", [(5, 8, 6), (5, 8, 6, 3), (5, 3, 8, 6), (1, 5, 3, 8, 6)])
def test_video_of_each_shape_becomes_a_gif(record, shape):
    video = (np.random.default_rng(0).random(shape) * 255).astype(np.uint8)
    medium, path = record("log_video", video, fps=4)
    with Image.open(path) as image:
        assert (image.n_frames, image.size, image.info["duration"]) == (5, (6, 8), 250)
    assert medium["metadata"] == {"frames": 5, "fps": 4}


def test_a_batch_of_videos_is_shown_side_by_side(record):
    _, path = record("log_video", np.random.default_rng(0).random((3, 2, 1, 4, 5)))
    with Image.open(path) as image:
        assert image.size == (15, 4)


def test_a_mesh_becomes_ply_with_faces_and_colors(record):
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0.1]])
    medium, path = record("log_mesh", vertices, faces=[[0, 1, 2]], colors=np.array([[255, 0, 0]] * 3))
    head, _, body = path.read_bytes().partition(b"end_header\n")
    assert b"element vertex 3\nproperty double x" in head
    assert medium["metadata"] == {"vertices": 3, "faces": 1}
    row = np.dtype([("at", "<f8", 3), ("color", "u1", 3)])
    points = np.frombuffer(body, row, 3)
    assert (points["at"] == vertices).all()
    assert points["color"].tolist() == [[255, 0, 0]] * 3
    assert body[3 * row.itemsize :] == b"\3" + np.array([0, 1, 2], "<i4").tobytes()


def test_an_embedding_keeps_vectors_and_labels(record):
    vectors = np.random.default_rng(0).random((4, 3), dtype=np.float32)
    _, path = record(
        "log_embedding", vectors, labels={"word": list("abcd"), "n": range(4)}, images=np.zeros((4, 2, 2))
    )
    with np.load(path) as file:
        assert (file["vectors"] == vectors).all()
        assert file["vectors"].dtype == np.float32
        assert file["label.word"].tolist() == list("abcd")
        assert file["label.n"].tolist() == list("0123")
        assert file["images"].shape == (4, 2, 2)


def test_html_of_a_text_a_file_and_an_object(record, tmp_path):
    (tmp_path / "page.html").write_text("<p>file</p>")

    class Shown:
        def _repr_html_(self):
            return "<p>object</p>"

    for given_as, expected in [
        ("<b>x</b>", b"<b>x</b>"),
        (str(tmp_path / "page.html"), b"<p>file</p>"),
        (Shown(), b"<p>object</p>"),
    ]:
        medium, path = record("log_html", given_as)
        assert (medium["media"], path.suffix, path.read_bytes()) == ("custom", ".html", expected)


@pytest.mark.parametrize(
    ("truth", "predictions", "labels", "expected"),
    [
        ([0, 1, 1], [0, 1, 0], None, (["0", "1"], [[1, 0], [1, 1]])),
        (
            [0, 1, 1],
            [0, 1, 0],
            ["cat", "dog", "cow"],
            (["cat", "dog", "cow"], [[1, 0, 0], [1, 1, 0], [0, 0, 0]]),
        ),
        (["b", "a"], ["a", "a"], ["b", "a"], (["b", "a"], [[0, 1], [0, 1]])),
        (np.array([1, 0]), np.array([[0.1, 0.9], [0.8, 0.2]]), None, (["0", "1"], [[1, 0], [0, 1]])),
        ([True, False], [1.0, 0.0], None, (["0", "1"], [[1, 0], [0, 1]])),
    ],
)
def test_confusion_matrices(record, truth, predictions, labels, expected):
    _, path = record("log_confusion_matrix", truth, predictions, labels=labels)
    found = json.loads(path.read_text())
    assert (found["labels"], found["matrix"]) == expected


def test_a_confusion_matrix_that_was_counted_before(record):
    _, path = record("log_confusion_matrix", matrix=np.array([[3, 1], [0, 2]]), labels=["a", "b"])
    assert json.loads(path.read_text()) == {"labels": ["a", "b"], "matrix": [[3, 1], [0, 2]]}


scored = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.1, 0.25, 0.5, 0.5, 0.9, 1.0])), min_size=2, max_size=60
).filter(lambda pairs: len({one for one, _ in pairs}) == 2)


@given(scored)
def test_curves_equal_those_of_scikit_learn(pairs):
    truth, scores = zip(*pairs, strict=True)
    (pr,) = json.loads(pr_curve_json(truth, scores, None))["curves"]
    precision, recall, thresholds = metrics.precision_recall_curve(truth, scores)
    assert pr["thresholds"] == thresholds[::-1].tolist()
    assert pr["precision"] == pytest.approx(precision[::-1][1:].tolist())
    assert pr["recall"] == pytest.approx(recall[::-1][1:].tolist())
    assert pr["average_precision"] == pytest.approx(metrics.average_precision_score(truth, scores))
    (roc,) = json.loads(roc_curve_json(truth, scores, None))["curves"]
    fpr, tpr, _ = metrics.roc_curve(truth, scores, drop_intermediate=False)
    assert (roc["fpr"], roc["tpr"]) == (pytest.approx(fpr.tolist()), pytest.approx(tpr.tolist()))
    assert roc["auc"] == pytest.approx(metrics.roc_auc_score(truth, scores))


def test_a_curve_for_each_class(record):
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 3, 5000), rng.random((5000, 3))
    _, path = record("log_roc_curve", truth, scores, labels=["a", "b", "c"])
    curves = json.loads(path.read_text())["curves"]
    assert [curve["label"] for curve in curves] == ["a", "b", "c"]
    assert len(curves[0]["fpr"]) == 2000
    assert curves[0]["thresholds"][0] is None
    assert curves[1]["auc"] == pytest.approx(metrics.roc_auc_score(truth == 1, scores[:, 1]))


WRONG = [
    ("log_audio", (np.zeros(4),), {}, "audio: no sample rate"),
    ("log_audio", (object(),), {"sample_rate": 5}, "audio: not audio"),
    ("log_audio", (b"what is this",), {}, "audio: unknown format"),
    ("log_audio", ("nowhere.wav",), {}, "audio: unreadable file"),
    ("log_video", (np.zeros((4, 4)),), {}, "video: not a video"),
    ("log_video", (np.zeros((2, 4, 4)),), {"fps": 0}, "video: frame rate"),
    ("log_mesh", (np.zeros((4, 2)),), {}, "mesh: not a mesh"),
    ("log_mesh", (np.zeros((4, 3)),), {"faces": [[0, 1, 4]]}, "mesh: not a mesh"),
    ("log_embedding", (np.zeros((4, 3)),), {"labels": ["a"]}, "embedding: not an embedding"),
    ("log_html", (5,), {}, "html: not html"),
    ("log_confusion_matrix", ([1, 2], [1]), {}, "confusion_matrix: not comparable"),
    ("log_confusion_matrix", (["a"], ["b"]), {"labels": ["a"]}, "confusion_matrix: not comparable"),
    ("log_confusion_matrix", (), {}, "confusion_matrix: not comparable"),
    ("log_pr_curve", ([1, 1], [0.1, 0.2]), {}, "pr_curve: not comparable"),
    ("log_pr_curve", ([0, 1], [0.1, math.nan]), {}, "pr_curve: not comparable"),
    ("log_roc_curve", ([0, 1], ["a", "b"]), {}, "roc_curve: not comparable"),
]


@pytest.mark.parametrize(("call", "args", "options", "reason"), WRONG)
def test_what_cannot_be_recorded_is_left_out_or_raises_under_strict(record, call, args, options, reason):
    assert record(call, *args, strict=False, **options) == (None, None)
    with pytest.raises(RecordingError) as caught:
        record(call, *args, **options)
    assert caught.value.reason == reason


def test_the_functions_record_into_the_active_run(tmp_path):
    with tracelet.start_run("media", dir=tmp_path, plugins=[]) as run:
        tracelet.log_html("page", "<p>", step=2)
    assert [one["step"] for one in tracelet.open_store(tmp_path).run(run.id).artifacts] == [2]
    with pytest.raises(tracelet.NoActiveRunError, match=r"tracelet\.log_audio: no run is active"):
        tracelet.log_audio("a", b"fLaC")


def test_backends_learn_what_kind_of_medium_it_is(tmp_path):
    kinds = []

    class Backend:
        @tracelet.hookimpl
        def log_media(self, name, kind):
            kinds.append((name, kind))

    with tracelet.start_run("media", dir=tmp_path, plugins=[Backend()], strict="all") as run:
        run.log_html("html", "<p>")
        run.log_confusion_matrix("matrix", [0, 1], [0, 1])
        run.log_pr_curve("pr", [0, 1], [0, 1])
        run.log_roc_curve("roc", [0, 1], [0, 1])
        run.log_audio("audio", b"fLaC")
        run.log_table("table", [[1]], ["a"])
    assert kinds == [
        ("html", "html"),
        ("matrix", "confusion_matrix"),
        ("pr", "pr_curve"),
        ("roc", "roc_curve"),
        ("audio", "audio"),
        ("table", "table"),
    ]
