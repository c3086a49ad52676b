"""Plugins in processes of their own: what they do, hold and leak there cannot touch the training."""

from tracelet.delivery.process.proxy import PluginProxy, make_proxy
from tracelet.delivery.process.remote import RemoteWorker

__all__ = ["PluginProxy", "RemoteWorker", "make_proxy"]
