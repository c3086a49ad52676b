"""The framework plugin ``keras``, in this process."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="PyTorch, Keras' backend here, is not installed")
keras = pytest.importorskip("keras", reason="Keras is not installed")

from tracelet.integrations.keras import TraceletCallback  # noqa: E402


@pytest.fixture
def captured(record_with):
    """Return a function that calls another one inside a run with the plugin."""
    return record_with("keras")


def train(digits, *callbacks):
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    given = {"batch_size": 200, "epochs": 2, "verbose": 0, "callbacks": list(callbacks) or None}
    history = model.fit(digits.x, digits.y, validation_data=(digits.x_test, digits.y_test), **given)
    return model, history.history


def test_a_training_is_recorded_and_nothing_stays(captured, digits):
    original = keras.callbacks.CallbackList.__init__
    reported = []

    def both():
        model, history = train(digits)
        reported.append(history)
        reported.append(model.evaluate(digits.x_test, digits.y_test, verbose=0))
        model.predict(digits.x_test, verbose=0)

    for _ in range(2):
        reported.clear()
        run = captured(both)
        assert run.values("loss") == reported[0]["loss"]
        assert run.values("val_loss") == reported[0]["val_loss"]
        assert run.steps("batch/loss") == [0, 1, 2, 3]
        assert run.values("test/loss") == [reported[1]]
    assert keras.callbacks.CallbackList.__init__ is original


def test_with_the_object_beside_nothing_is_recorded_twice(captured, digits, tmp_path):
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")

    def both():
        model, _ = train(digits, TraceletCallback(), saving)
        model.save(tmp_path / "final.keras")

    run = captured(both)
    assert run.steps("loss") == [0, 1]
    assert run.steps("batch/loss") == [0, 1, 2, 3]
    assert "2/loss" not in run.names
    names = [path.rpartition("/")[2] for path in run.artifacts]
    assert names == ["model.keras", "model.keras", "final.keras"]


def test_a_list_of_callbacks_that_the_program_made_is_found(captured, digits):
    def train_by_hand():
        model, _ = train(digits, TraceletCallback())
        callbacks = keras.callbacks.CallbackList([TraceletCallback()], model=model, epochs=1)
        callbacks.on_train_begin()
        callbacks.on_epoch_begin(0)
        callbacks.on_epoch_end(0, {"loss": 0.5})
        callbacks.on_train_end()

    run = captured(train_by_hand)
    assert run.steps("loss") == [0, 1, 2]


def test_checkpoints_are_artifacts(captured, digits, tmp_path):
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    run = captured(lambda: train(digits, saving))
    assert [path.rpartition("/")[2] for path in run.artifacts] == ["model.keras", "model.keras"]
