"""Plugins in processes of their own: what they do, hold and leak there cannot affect the training."""

from tracelet.delivery.process.proxy import PluginProxy, check_isolation, is_isolated, make_proxy
from tracelet.delivery.process.remote import RemoteWorker

__all__ = ["PluginProxy", "RemoteWorker", "check_isolation", "is_isolated", "make_proxy"]
