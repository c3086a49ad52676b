"""Plugins in separate processes, where nothing they do, hold or leak can affect the training."""

from tracelet.delivery.process.proxy import (
    PluginProxy,
    check_isolation,
    data_wrappers,
    is_isolated,
    make_proxy,
)
from tracelet.delivery.process.remote import RemoteWorker

__all__ = ["PluginProxy", "RemoteWorker", "check_isolation", "data_wrappers", "is_isolated", "make_proxy"]
