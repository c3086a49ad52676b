"""Callbacks for training libraries: ``wandb.integration.keras``, ``lightgbm``, ``sb3``, ``xgboost``."""
