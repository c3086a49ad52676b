"""Histograms: how numbers are distributed, as counts between edges."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from tracelet.errors import RecordingError
from tracelet.journal import as_number
from tracelet.run.json_values import strict_json
from tracelet.run.media.arrays import as_array, is_array, numpy

MAX_BINS: Final = 100_000
_CHUNK: Final = 1 << 20  # numbers counted at a time, so that memory stays flat
_WORTH_NUMPY: Final = 200  # numbers in a list for which it pays to go by way of an array


class _Sample(NamedTuple):
    """Numbers to be counted: of one array, or of a list, and how many zeros a sparse matrix leaves out."""

    numbers: Any
    zeros: int = 0


def histogram_json(values: Any, bins: int | Sequence[float]) -> bytes:
    """Return a histogram as JSON: ``{"edges": [...], "counts": [...]}``, bins closed on the left as NumPy's.

    ``bins`` is their number over the range of the finite values, or their edges. Values that are not finite are
    counted in ``not_finite``; masked ones are left out. A pair of counts and edges, as ``numpy.histogram`` returns it,
    is a histogram already, and is recorded as it is.

    Raises:
        RecordingError: there are values that are not numbers, or counts that are not whole numbers.
    """
    if (counted := _counted(values)) is not None:
        edges, counts = counted
        return strict_json({"edges": edges, "counts": counts, "count": sum(counts), "not_finite": 0})
    samples = list(_samples(values, 0))
    limits = [limit for sample in samples for limit in _limits(sample)]
    edges = _even_edges(limits, bins) if isinstance(bins, int) else list(bins)
    counts = [0] * (len(edges) - 1)
    total = finite = 0
    for sample in samples:
        seen, kept = _count(sample, edges, counts, even=isinstance(bins, int))
        total, finite = total + seen, finite + kept
    return strict_json({"edges": edges, "counts": counts, "count": total, "not_finite": total - finite})


def _counted(values: Any) -> tuple[list[float], list[int]] | None:
    """Return the edges and counts of a histogram that was made by NumPy or PyTorch, otherwise ``None``."""
    if not (isinstance(values, tuple) and len(values) == 2 and all(is_array(each) for each in values)):
        return None
    counts, edges = (as_array(each).tolist() for each in values)
    if not (isinstance(counts, list) and isinstance(edges, list) and len(edges) == len(counts) + 1 > 1):
        return None
    numbers = [each for each in (*counts, *edges) if isinstance(each, (int, float)) and math.isfinite(each)]
    if len(numbers) < len(counts) + len(edges) or not all(low < high for low, high in pairwise(edges)):
        return None
    if not all(count >= 0 and count == int(count) for count in counts):
        raise RecordingError(
            "log_histogram: expected whole numbers as the counts of a pair (counts, edges), found"
            f" {str(counts)[:60]}; leave out density= and weights=, or pass the values themselves",
            reason="histogram: not counts",
        )
    return edges, [int(count) for count in counts]


def check_bins(bins: Any) -> int | list[float]:
    """Return the number of bins, or their edges.

    Raises:
        RecordingError: they are neither.
    """
    try:
        if isinstance(bins, Iterable) or getattr(bins, "shape", None):
            edges = [as_number(edge) for edge in (as_array(bins).tolist() if is_array(bins) else bins)]
            if (
                len(edges) > 1
                and all(low < high for low, high in pairwise(edges))
                and math.isfinite(sum(edges))
            ):
                return edges
        elif 1 <= bins <= MAX_BINS and int(bins) == bins:
            return int(bins)
    except (TypeError, ValueError):
        pass
    raise RecordingError(
        f"log_histogram: bins: expected a number from 1 to {MAX_BINS:,} or edges that increase, found {str(bins)[:60]}"
    )


def _even_edges(limits: list[float], bins: int) -> list[float]:
    low, high = (min(limits), max(limits)) if limits else (0.0, 1.0)
    if low == high:
        margin = 0.5 if abs(low) < 1e15 else abs(low) * 1e-9
        low, high = low - margin, high + margin
    if math.isinf(high - low):  # the range itself is beyond float64
        steps = (index / bins for index in range(bins))
        return [low * (1 - step) + high * step for step in steps] + [high]
    return [low + (high - low) * index / bins for index in range(bins)] + [high]


# --- what is counted ---------------------------------------------------------------------------------------------


def _samples(values: Any, depth: int) -> Iterator[_Sample]:
    """Yield the numbers of arrays, lists and whatever is nested in them."""
    if values is None and depth == 0:
        raise _not_numbers(values)
    sparse = _sparse(values)
    if sparse is not None:
        yield sparse
    elif is_array(values) and numpy() is not None:
        yield _Sample(_numbers(as_array(values)))
    elif isinstance(values, (str, bytes, Mapping)) or depth > 20:
        raise _not_numbers(values)
    elif isinstance(values, Iterable):
        yield from _of_items(list(values), depth)
    else:
        yield _Sample([_number(values)])


def _of_items(items: list[Any], depth: int) -> Iterator[_Sample]:
    nested = [item for item in items if is_array(item) or isinstance(item, Iterable)]
    plain = [_number(item) for item in items if not (is_array(item) or isinstance(item, Iterable))]
    if plain:
        np = numpy() if len(plain) >= _WORTH_NUMPY else None
        yield _Sample(plain if np is None else np.array(plain))
    for item in nested:
        yield from _samples(item, depth + 1)


def _sparse(values: Any) -> _Sample | None:
    """Return the numbers of a sparse matrix of SciPy or tensor of PyTorch."""
    if callable(getattr(values, "tocoo", None)):
        data = values.tocoo().data
        return _Sample(_numbers(data), math.prod(values.shape) - len(data))
    if getattr(values, "is_sparse", False) is True:
        kept = values.detach().coalesce().values()
        return _Sample(_numbers(as_array(kept)), math.prod(values.shape) - math.prod(kept.shape))
    return None


def _numbers(array: Any) -> Any:
    """Return an array's numbers in one dimension."""
    np = numpy()
    if isinstance(array, np.ma.MaskedArray):
        array = array.compressed()
    if array.dtype.kind == "O":
        array = np.array([_number(item) for item in array.ravel().tolist()])
    if array.dtype.kind not in "biuf":
        raise _not_numbers(array)
    return array.ravel()


def _number(value: Any) -> float:
    try:
        return math.nan if value is None else as_number(value)
    except RecordingError:
        raise _not_numbers(value) from None


def _not_numbers(values: Any) -> RecordingError:
    kind = getattr(values, "dtype", None)
    found = type(values).__name__ if kind is None else f"an array of {kind}"
    return RecordingError(f"log_histogram: expected numbers, found {found}", reason="histogram: not numbers")


# --- counting ----------------------------------------------------------------------------------------------------


def _chunks(numbers: Any) -> Iterator[Any]:
    """Yield the finite numbers of an array as float64, a chunk at a time."""
    np = numpy()
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK].astype(np.float64)
        yield chunk if numbers.dtype.kind in "biu" else chunk[np.isfinite(chunk)]


def _limits(sample: _Sample) -> list[float]:
    """Return the smallest and the largest finite number, if there are any."""
    limits = [0.0] if sample.zeros else []
    if isinstance(sample.numbers, list):
        finite = [number for number in sample.numbers if math.isfinite(number)]
        return limits + ([min(finite), max(finite)] if finite else [])
    for chunk in _chunks(sample.numbers):
        if len(chunk):
            limits += [float(chunk.min()), float(chunk.max())]
    return limits


def _count(sample: _Sample, edges: list[float], counts: list[int], *, even: bool) -> tuple[int, int]:
    """Add a sample to the counts; return how many numbers there were, and how many of them are finite."""
    finite = sample.zeros
    if isinstance(sample.numbers, list):
        kept = [number for number in sample.numbers if math.isfinite(number)]
        finite += len(kept)
        for number in kept:
            _add(number, 1, edges, counts)
    else:
        finite += sum(_count_chunk(chunk, edges, counts, even=even) for chunk in _chunks(sample.numbers))
    _add(0.0, sample.zeros, edges, counts)
    return len(sample.numbers) + sample.zeros, finite


def _count_chunk(chunk: Any, edges: list[float], counts: list[int], *, even: bool) -> int:
    np = numpy()
    wide = math.isinf(edges[-1] - edges[0])
    where = {"bins": len(counts), "range": (edges[0], edges[-1])} if even and not wide else {"bins": edges}
    added, _ = np.histogram(chunk, **where)
    for index in np.flatnonzero(added).tolist():
        counts[index] += int(added[index])
    return len(chunk)


def _add(number: float, weight: int, edges: list[float], counts: list[int]) -> None:
    if edges[0] <= number <= edges[-1]:
        counts[min(bisect_right(edges, number) - 1, len(edges) - 2)] += weight
