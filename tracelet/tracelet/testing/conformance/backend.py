"""The suite for backends."""

from __future__ import annotations

from tracelet.testing.conformance.backend_data import DataPromises
from tracelet.testing.conformance.backend_delivery import DeliveryPromises
from tracelet.testing.conformance.backend_files import FilePromises
from tracelet.testing.conformance.backend_redelivery import RedeliveryPromises
from tracelet.testing.conformance.manners import Manners


class BackendConformance(Manners, FilePromises, DataPromises, RedeliveryPromises, DeliveryPromises):
    """The promises of a backend, one test each. (pytest runs the tests of the last base class first.)

    Subclass it, set ``plugin`` and ``config``, and give ``read_back(self, run)``: a method that reads, with the far
    side's own reader, what the far side has of a run (``run`` has ``id``, ``name``, ``project`` and ``dir``), and
    returns a :class:`~tracelet.testing.FarSide`. Methods may take pytest's fixtures as further arguments.

    If the backend maps what the far side cannot hold, override ``far_name``, ``far_step``, ``far_value``,
    ``far_time``, ``far_param``, ``far_tag``, ``far_path`` or ``far_media``: what is expected is computed with them.
    """
