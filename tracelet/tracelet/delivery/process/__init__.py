"""Plugins in processes of their own: what they do, hold and leak there cannot touch the training."""

from tracelet.delivery.process.remote import RemoteWorker
from tracelet.delivery.process.standin import PluginProxy, stand_in

__all__ = ["PluginProxy", "RemoteWorker", "stand_in"]
