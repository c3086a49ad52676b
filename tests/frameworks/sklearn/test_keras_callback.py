"""The callback for Keras, with real models."""

from __future__ import annotations

import copy
import os
import pickle

import pytest

import tracelet

os.environ.setdefault("KERAS_BACKEND", "torch")
pytest.importorskip("torch", reason="PyTorch, Keras' backend here, is not installed")
keras = pytest.importorskip("keras", reason="Keras is not installed")

from tracelet.integrations.keras import TraceletCallback  # noqa: E402


def build():
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model, digits, *callbacks, epochs=2, **options):
    validation = (digits.x_test, digits.y_test)
    return model.fit(
        *(digits.x, digits.y),
        batch_size=100,
        epochs=epochs,
        verbose=0,
        validation_data=validation,
        callbacks=list(callbacks),
        **options,
    )


def test_the_series_equal_the_history(recorded, digits):
    histories = []
    run = recorded(lambda: histories.append(fit(build(), digits, TraceletCallback())))
    for name in ("loss", "val_loss", "accuracy", "val_accuracy"):
        assert run.values(name) == histories[0].history[name]
        assert run.steps(name) == histories[0].epoch == [0, 1]
    assert run.values("learning_rate") == pytest.approx([0.01, 0.01])


def test_batches_are_counted_apart_from_epochs(recorded, digits):
    class Batches(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            losses.append(logs["loss"])

    losses = []
    run = recorded(lambda: fit(build(), digits, TraceletCallback(), Batches()))
    assert run.steps("batch/loss") == list(range(8))
    assert run.values("batch/loss") == losses


def test_fewer_batches_or_none_can_be_recorded(recorded, digits):
    run = recorded(lambda: fit(build(), digits, TraceletCallback(batches=2), epochs=1))
    assert run.steps("batch/loss") == [0, 2]
    run = recorded(lambda: fit(build(), digits, TraceletCallback(batches=0), epochs=1))
    assert "batch/loss" not in run.names


def test_a_second_fit_goes_on_and_another_model_is_apart(recorded, digits):
    def three():
        model = build()
        fit(model, digits, TraceletCallback())
        fit(model, digits, TraceletCallback(), epochs=3)
        fit(build(), digits, TraceletCallback(), epochs=1)

    run = recorded(three)
    assert run.steps("val_loss") == [0, 1, 2, 3, 4]
    assert run.steps("batch/loss") == list(range(20))
    assert run.steps("2/val_loss") == [0]


def test_an_initial_epoch_is_keras_own_count(recorded, digits):
    def resumed():
        model = build()
        fit(model, digits, TraceletCallback())
        fit(model, digits, TraceletCallback(), epochs=4, initial_epoch=2)

    assert recorded(resumed).steps("loss") == [0, 1, 2, 3]


def test_a_loaded_model_counts_its_batches_on(recorded, digits, tmp_path):
    model = build()
    fit(model, digits)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    run = recorded(lambda: fit(loaded, digits, TraceletCallback(), epochs=3, initial_epoch=2))
    assert run.steps("loss") == [2]
    assert run.steps("batch/loss") == [8, 9, 10, 11]


def test_an_evaluation_is_apart_from_the_validation(recorded, digits):
    results = []

    def both():
        model = build()
        fit(model, digits, TraceletCallback())
        given = {"verbose": 0, "return_dict": True, "callbacks": [TraceletCallback()]}
        results.append(model.evaluate(digits.x_test, digits.y_test, **given))

    run = recorded(both)
    assert run.values("test/loss") == [results[0]["loss"]]
    assert run.steps("test/loss") == [1]
    assert len(run.values("val_loss")) == 2


def test_the_settings_are_recorded(recorded, digits):
    run = recorded(lambda: fit(build(), digits, TraceletCallback()))
    assert run.params["keras/optimizer/name"] == "SGD"
    assert run.params["keras/optimizer/learning_rate"] == 0.01
    assert run.params["keras/loss"] == "sparse_categorical_crossentropy"
    assert run.params["keras/epochs"] == 2
    assert run.params["keras/model/parameters"] == 130


def test_checkpoints_become_artifacts(recorded, digits, tmp_path):
    saving = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras")
    weights = keras.callbacks.ModelCheckpoint(tmp_path / "last.weights.h5", save_weights_only=True)
    model = build()
    run = recorded(lambda: fit(model, digits, saving, TraceletCallback(), weights))
    names = [path.rpartition("/")[2] for path in run.artifacts]
    assert sorted(names) == ["best.keras", "best.keras", "last.weights.h5", "last.weights.h5"]
    assert "save" not in vars(model)


def test_an_early_stop_is_recorded_up_to_its_epoch(recorded, digits):
    stop = keras.callbacks.EarlyStopping(monitor="loss", min_delta=100.0, patience=1)
    histories = []
    run = recorded(lambda: histories.append(fit(build(), digits, stop, TraceletCallback(), epochs=20)))
    assert run.values("loss") == histories[0].history["loss"]


def test_a_failure_leaves_the_model_as_it_was(store, digits):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise RuntimeError("stopped here")

    model = build()
    run = store.start()
    with pytest.raises(RuntimeError, match="stopped here"), run:
        fit(model, digits, TraceletCallback(), Fails())
    assert store.read(run).outcome == "failed"
    assert store.read(run).steps("loss") == [0]
    history = fit(model, digits)  # without the callback
    assert len(history.history["loss"]) == 2


def test_without_a_run_it_starts_one(store, digits):
    fit(build(), digits, TraceletCallback())
    tracelet.end_run()
    (run,) = store.all()
    assert run.outcome == "finished"
    assert run.steps("loss") == [0, 1]


def test_the_callback_survives_copies_and_pickles(recorded, digits):
    callback = TraceletCallback(prefix="p/")
    recorded(lambda: fit(build(), digits, callback))
    for twin in (copy.deepcopy(TraceletCallback(prefix="p/")), pickle.loads(pickle.dumps(callback))):
        run = recorded(lambda twin=twin: fit(build(), digits, twin))
        assert run.steps("p/loss") == [0, 1]
