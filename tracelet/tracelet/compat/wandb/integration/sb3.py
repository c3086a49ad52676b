"""A callback for Stable-Baselines3."""

from __future__ import annotations

from functools import cache
from typing import Any

from tracelet.compat.wandb.current import require_run


def __getattr__(name: str) -> Any:
    if name == "WandbCallback":
        return _callback()
    raise AttributeError(f"wandb.integration.sb3 has no {name!r}; it offers WandbCallback")


@cache
def _callback() -> Any:
    from stable_baselines3.common.callbacks import BaseCallback

    class WandbCallback(BaseCallback):  # type: ignore[misc]
        """Records the algorithm's settings, what its logger collects, and the model at the end."""

        def __init__(
            self,
            verbose: int = 0,
            model_save_path: str | None = None,
            model_save_freq: int = 0,
            gradient_save_freq: int = 0,
            log: str | None = "all",
        ) -> None:
            super().__init__(verbose)
            self._path = model_save_path
            self._every = model_save_freq
            self._watch = log if gradient_save_freq > 0 else None
            self._watch_every = gradient_save_freq

        def _init_callback(self) -> None:
            run = require_run("WandbCallback()")
            settings = {
                key: value for key, value in vars(self.model).items() if isinstance(value, (int, float, str))
            }
            run.config.setdefaults({"algo": type(self.model).__name__, **settings})
            if self._watch:
                run.watch(self.model.policy, log=self._watch, log_freq=self._watch_every)

        def _on_rollout_end(self) -> None:
            run = require_run("WandbCallback()")
            values = {
                key: value
                for key, value in self.logger.name_to_value.items()
                if isinstance(value, (int, float))
            }
            if values:
                run.log(values, step=self.num_timesteps)

        def _on_step(self) -> bool:
            if self._path and self._every and self.n_calls % self._every == 0:
                self._save()
            return True

        def _on_training_end(self) -> None:
            if self._path:
                self._save()

        def _save(self) -> None:
            import os

            path = os.path.join(str(self._path), "model.zip")
            self.model.save(path)
            require_run("WandbCallback()").save(path, base_path=self._path, policy="now")

    return WandbCallback
