"""Runs, series and stores as small pieces of HTML, for notebooks.

Each piece is self-contained: no script, no link, nothing from the network. Its colors are those of the page around
it, so it fits a light and a dark one. Every text is escaped, since it may come from somebody else's run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from html import escape
from typing import Any, Final

from tracelet.messages import plain
from tracelet.store.accumulator import Summary
from tracelet.store.drawable import DrawableRun, DrawableSeries, DrawableStore
from tracelet.store.goals import best_value
from tracelet.store.metric_keys import as_patterns
from tracelet.store.point_columns import plain_list
from tracelet.store.rewinds import describe_ghost, split_rewinds

MOST_METRICS: Final = 12
MOST_VALUES: Final = 16  # parameters, and tags
MOST_RUNS: Final = 20
MOST_COLUMNS: Final = 4  # metrics of a list of runs
_LONGEST: Final = 60  # characters of a value
_POINTS: Final = 160  # of a line
_COLORS: Final = {"running": "#3b82c4", "finished": "#3f9a5a", "failed": "#d0533f", "killed": "#d0533f"}
_STYLE: Final = """
.tracelet-html{font:13px/1.45 system-ui,sans-serif;color:inherit;max-width:62em}
.tracelet-html table{border-collapse:collapse;margin:.4em 0;background:none;color:inherit}
.tracelet-html th,.tracelet-html td{text-align:left;padding:.15em .9em .15em 0;border:0;
border-bottom:1px solid rgba(128,128,128,.25);background:none;color:inherit;white-space:nowrap}
.tracelet-html th{font-weight:600;opacity:.75}
.tracelet-html td.n,.tracelet-html th.n{text-align:right;font-variant-numeric:tabular-nums}
.tracelet-html .d{opacity:.65}.tracelet-html code{background:none;color:inherit;font-size:12px}
.tracelet-html .s{color:#fff;border-radius:.7em;padding:.05em .6em;font-size:12px}
.tracelet-html table.p td{border:0}.tracelet-html svg{display:block;overflow:visible}
"""


def record_html(record: DrawableRun) -> str:
    """Return a run: what it is, its metrics with their curves, parameters and tags."""
    about = [record.project, f"started {_moment(record.started_at)}", f"took {_duration(record.duration)}"]
    about += [f"group {record.group}"] if record.group else []
    head = f"<b>{_text(record.name)}</b> {_state(record.outcome)} <code class=d>{_text(record.id)}</code>"
    parts = [f"<div>{head}</div>", f"<div class=d>{' · '.join(map(_text, filter(None, about)))}</div>"]
    if problem := record.problem or record.error:
        parts.append(f"<div style='color:{_COLORS['failed']}'>{_text(problem, 300)}</div>")
    parts += [_metrics(record), _values("params", record.params), _values("tags", record.tags)]
    if record.notes:
        parts.append(f"<div style='white-space:pre-wrap'>{_text(record.notes, 1000, lines=True)}</div>")
    return _wrap(parts)


def series_html(series: DrawableSeries) -> str:
    """Return a series: its curve and statistics."""
    of = f" <span class=d>of run {_text(series.run)}</span>" if series.run else ""
    head = f"<div><b>{_text(series.name)}</b>{of}</div>"
    if not len(series):
        return _wrap([head, "<div class=d>no points</div>"])
    facts = [
        ("points", f"{len(series):,}"),
        ("last", f"{_number(series.last)} at step {series.iterations[-1]}"),
        *((name, _number(getattr(series, name))) for name in ("min", "max", "mean")),
    ]
    line = " · ".join(f"{name} {value}" for name, value in facts)
    notes = [
        f"<div class=d>{_text(describe_ghost(ghost), 200)}</div>" for ghost in split_rewinds(series).ghosts
    ]
    return _wrap([head, draw(series, 480, 110, ends=True), f"<div class=d>{_text(line, 200)}</div>", *notes])


def store_html(store: DrawableStore) -> str:
    """Return a store: its newest runs."""
    records = store.runs(limit=MOST_RUNS + 1)
    more = len(records) > MOST_RUNS
    head = f"<div><b>runs</b> <span class=d>in {_text(store.location, 200)}</span></div>"
    if not records:
        return _wrap([head, "<div class=d>no runs yet</div>"])
    note = [f"<div class=d>the newest {MOST_RUNS}; store.runs() returns all</div>"] if more else []
    return _wrap([head, _runs(records[:MOST_RUNS]), *note])


def draw(series: DrawableSeries, width: int, height: int, *, ends: bool = False) -> str:
    """Return a curve as SVG. NaN and infinities are gaps; ``ends`` adds the range of values and steps.

    What a resumed run computed again is a dashed, paler line behind the curve.
    """
    effective, ghosts = split_rewinds(series)
    columns = []
    for one in (*(ghost.series for ghost in ghosts), effective):
        thin = one.downsample(_POINTS * 3 if ends else _POINTS)
        columns.append((plain_list(thin.points.steps), plain_list(thin.points.values)))
    finite = [y for _, ys in columns for y in ys if math.isfinite(y)]
    if not finite:
        return "<span class=d>no number</span>"
    every = [x for xs, _ in columns for x in xs]
    low, high, left, right = min(finite), max(finite), min(every), max(every)

    def place(x: int, y: float) -> str:
        return f"{_place(x, left, right, width):.1f},{height - _place(y, low, high, height):.1f}"

    shapes = "".join(
        _shape(" ".join(place(x, y) for x, y in part), is_ghost=at < len(ghosts))
        for at, (xs, ys) in enumerate(columns)
        for part in _parts(xs, ys)
    )
    label = _text(f"{series.name} from {_number(low)} to {_number(high)}")
    picture = (
        f"<svg role='img' aria-label='{label}' width='{width}' height='{height}'"
        f" viewBox='0 -2 {width} {height + 4}'>{shapes}</svg>"
    )
    if not ends:
        return picture
    marks = f"<td class='d n' style='vertical-align:top'>{_number(high)}</td><td rowspan=2>{picture}</td>"
    below = f"<td class='d n' style='vertical-align:bottom'>{_number(low)}</td>"
    steps = f"<td></td><td class=d>step {left} … {right}</td>"
    return f"<table class=p><tr>{marks}</tr><tr>{below}</tr><tr>{steps}</tr></table>"


def _shape(points: str, *, is_ghost: bool) -> str:
    """Return a stretch of a curve; a single point is a dot."""
    faint = " opacity='.45'" if is_ghost else ""
    if " " not in points:
        x, y = points.split(",")
        return f"<circle cx='{x}' cy='{y}' r='1.5' fill='#3b82c4'{faint}/>"
    dashes = " stroke-dasharray='4 3'" if is_ghost else ""
    return f"<polyline points='{points}' stroke='#3b82c4' fill='none' stroke-width='1.5'{dashes}{faint}/>"


def _parts(xs: Sequence[int], ys: Sequence[float]) -> Iterator[list[tuple[int, float]]]:
    """Yield the stretches of a curve without NaN and infinities."""
    part: list[tuple[int, float]] = []
    for x, y in zip(xs, ys, strict=True):
        if math.isfinite(y):
            part.append((x, y))
        elif part:
            yield part
            part = []
    if part:
        yield part


def _place(value: float, low: float, high: float, size: int) -> float:
    span = high / 2 - low / 2  # halved: the span of two huge values may be infinite
    return (value / 2 - low / 2) / span * size if span > 0 else size / 2


def _metrics(record: DrawableRun) -> str:
    own = {name: one for name, one in record.summary().items() if one["type"] != "system"}
    shown = dict(list(own.items())[:MOST_METRICS])
    curves = (
        {series.name: series for series in record.series(as_patterns(shown), missing_ok=True)}
        if shown
        else {}
    )
    if not shown:
        return ""
    rows = []
    for name, summary in shown.items():
        best = best_value(summary, record.goal(name))
        picture = draw(curves[name], 140, 22) if name in curves and summary["count"] > 1 else ""
        cells = [f"<td>{_text(name)}</td>", f"<td class=n>{_number(summary['last'])}</td>"]
        cells += [f"<td class=n>{'' if best is None else _number(best)}</td>", f"<td>{picture}</td>"]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "<tr><th>metric</th><th class=n>last</th><th class=n>best</th><th></th></tr>"
    more = f"<div class=d>and {len(own) - len(shown)} more metrics</div>" if len(own) > len(shown) else ""
    return f"<table>{head}{''.join(rows)}</table>{more}"


def _runs(records: Sequence[DrawableRun]) -> str:
    summaries = [record.summary() for record in records]
    names: dict[str, int] = {}
    for summary in summaries:
        for name, one in summary.items():
            if one["type"] != "system":
                names[name] = names.get(name, 0) + 1
    columns = sorted(names, key=lambda name: (-names[name], name))[:MOST_COLUMNS]
    head = ["name", "outcome", "started", "took"]
    heads = [*(f"<th>{one}</th>" for one in head), *(f"<th class=n>{_text(one)}</th>" for one in columns)]
    rows = [f"<tr>{''.join(heads)}</tr>"]
    for record, summary in zip(records, summaries, strict=True):
        cells = [
            f"<td title='{_text(record.id)}'>{_text(record.name)}</td>",
            f"<td>{_state(record.outcome)}</td>",
        ]
        cells += [f"<td>{_moment(record.started_at)}</td>", f"<td class=n>{_duration(record.duration)}</td>"]
        for name in columns:
            cells.append(f"<td class=n>{_best_or_last(record, name, summary.get(name))}</td>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table>{''.join(rows)}</table>"


def _best_or_last(record: DrawableRun, name: str, summary: Summary | None) -> str:
    if summary is None:
        return ""
    best = best_value(summary, record.goal(name))
    return _number(summary["last"] if best is None else best)


def _values(label: str, values: Mapping[str, Any]) -> str:
    if not values:
        return ""
    shown = [
        _text(name) if value == "" else f"{_text(name)}&nbsp;<b>{_text(value)}</b>"
        for name, value in list(values.items())[:MOST_VALUES]
    ]
    shown += [f"and {len(values) - MOST_VALUES} more"] if len(values) > MOST_VALUES else []
    return f"<div><span class=d>{label}</span> {' <span class=d>·</span> '.join(shown)}</div>"


def _wrap(parts: Iterable[str]) -> str:
    return f"<div class='tracelet-html'><style>{_STYLE}</style>{''.join(parts)}</div>"


def _text(value: Any, longest: int = _LONGEST, *, lines: bool = False) -> str:
    """Return a text without anything that HTML or a terminal would obey."""
    text = str(value)
    text = text if len(text) <= longest else f"{text[: longest - 1]}…"
    if lines:
        return "\n".join(escape(plain(line)) for line in text.splitlines())
    return escape(plain(text))


def _state(outcome: str) -> str:
    return f"<span class=s style='background:{_COLORS.get(outcome, '#8a8a8a')}'>{_text(outcome)}</span>"


def _number(value: float) -> str:
    return f"{value:.5g}"


def _moment(timestamp: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp))
    except (OverflowError, ValueError, OSError):
        return "unknown"


def _duration(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 60 else str(timedelta(seconds=int(seconds)))
