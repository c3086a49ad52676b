"""What a program writes with ``tf.summary`` is recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")

PROGRAM = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf

train, val = tf.summary.create_file_writer("logs/train"), tf.summary.create_file_writer("logs/val")
with train.as_default():
    for step in range(3):
        tf.summary.scalar("loss", 1 / 2**step, step=step)
    tf.summary.histogram("weights", np.arange(50.0), step=1)
    tf.summary.histogram("same", np.ones(5), step=1)
    tf.summary.image("pictures", np.zeros((2, 4, 4, 3), np.float32), step=1)
    tf.summary.text("note", "some *text*", step=1)
    tf.summary.audio("sound", np.zeros((1, 100, 1), np.float32), 8000, step=1)
    tf.summary.experimental.set_step(7)
    tf.summary.scalar("noted", 2)
with val.as_default():
    tf.summary.scalar("loss", 0.25, step=0)

@tf.function
def inside(value):  # has no values while it is traced
    with train.as_default():
        tf.summary.scalar("inside", value, step=3)

inside(tf.constant(2.0))
with train.as_default(), tf.summary.record_if(False):
    tf.summary.scalar("off", 1.0, step=1)
tf.summary.scalar("nowhere", 1.0, step=1)
"""


def test_every_kind_of_summary_is_kept(record: Callable[..., Any]) -> None:
    found = record(PROGRAM, "--automagic")
    assert found.series() == {
        "loss": [(0, 1.0), (1, 0.5), (2, 0.25)],
        "noted": [(7, 2.0)],
        "val/loss": [(0, 0.25)],
    }
    assert {(each["name"], each["media"], each["step"]) for each in found.record.artifacts} == {
        ("weights", "histogram", 1),
        ("same", "histogram", 1),
        ("pictures/0", "image", 1),
        ("pictures/1", "image", 1),
        ("note", "text", 1),
        ("sound", "audio", 1),
    }
    assert "is not recorded" not in found.err
