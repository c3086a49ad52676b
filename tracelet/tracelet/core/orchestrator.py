"""The documented import path of the records that metrics travel in."""

from tracelet_hookspecs import MetricData, MetricSink, MetricSource, MetricType

__all__ = ["MetricData", "MetricSink", "MetricSource", "MetricType"]
