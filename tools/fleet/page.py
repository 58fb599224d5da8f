# SPDX-License-Identifier: Apache-2.0
"""`report.html`: the summary with plots, in the look of every page of the project; one file, without scripts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from firmware.web import LOOK
from tools.fleet.summary import Moment, Summary

__all__ = ["page"]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
main { max-width: 1080px; margin: 0 auto; padding: 20px 16px; display: grid; gap: 14px; }
main > * { min-width: 0; }
h1 { font-size: 20px; margin: 0; }
p { margin: 4px 0 0; }
.plots { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--muted); font-size: 12px; }
svg .grid { stroke: var(--line); }
svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .first { stroke: var(--accent); }
svg .second { stroke: var(--soc); stroke-dasharray: 5 3; }
.first-name { color: var(--accent); }
.second-name { color: var(--soc); }
"""
_WIDTH, _HEIGHT = 480, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 22

_Series = tuple[str, Callable[[Moment], float]]
_PLOTS: tuple[tuple[str, str, tuple[_Series, ...]], ...] = (
    ("Messages answered", "a second", (("all", lambda at: at.per_s),)),
    (
        "Time until the answer",
        "ms, over 10 s",
        (("95 %", lambda at: at.p95_ms), ("median", lambda at: at.median_ms)),
    ),
    ("Stations", "", (("online", lambda at: at.online), ("EVSEs charging", lambda at: at.charging))),
    ("Messages queued on the stations' disks", "", (("queued", lambda at: at.waiting),)),
    ("Memory of the stations", "MB", (("resident", lambda at: at.memory_mb),)),
    ("CPU of the stations", "% of a core", (("all processes", lambda at: at.cpu_percent),)),
)


def page(summary: Summary) -> str:
    """The whole document."""
    verdict = '<span class="pill good">nothing was lost</span>' if summary.sound else _bad(summary)
    plots = "".join(_plot(*each, summary.moments) for each in _PLOTS) if len(summary.moments) > 1 else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>Fleet: {summary.stations} stations</title>
<style>{(LOOK / "look.css").read_text()}{_STYLE}</style></head><body><main>
<header><h1>{summary.stations} stations, {summary.length_s / 60:.1f} minutes {verdict}</h1>
<p>{escape(" · ".join(filter(None, (summary.csms, summary.scenario, summary.ended))))}</p></header>
<section class="card"><h2>In numbers</h2><dl class="facts">{_facts(summary)}</dl></section>
<section class="plots">{plots}</section>
<section class="card"><h2>Messages of the stations <small>times until the answer, in ms</small></h2>
<div class="scroll" tabindex="0">{_calls(summary)}</div></section>
{_listed("Calls that failed", [f"{count} × {what}" for what, count in summary.errors.items()])}
{_listed("Stations that did not end well", [f"{name}: {why}" for name, why in summary.failed.items()])}
</main></body></html>
"""


def _bad(summary: Summary) -> str:
    return f'<span class="pill bad">{summary.lost} events lost, {len(summary.failed)} stations failed</span>'


def _facts(summary: Summary) -> str:
    slope = summary.memory_slope_mb_per_min
    facts = {
        "TransactionEvents": f"{summary.events_sent} sent, {summary.events_answered} answered",
        "sent again": str(summary.events_repeated),
        "transactions": f"{summary.transactions}, {summary.not_ended} without an end",
        "EV drivers": ", ".join(f"{count} {what}" for what, count in sorted(summary.visits.items())) or "none",
        "memory": f"{summary.memory_mb:.0f} MB, {summary.memory_mb_per_station:.2f} MB a station",
        "memory rises by": "too short to say" if slope is None else f"{slope:+.2f} MB a minute",
        "CPU": f"{summary.cpu_percent:.0f} % of a core",
        "worker processes": str(summary.workers),
    }
    if summary.verified:
        stored = ", ".join(f"{count} {what}" for what, count in summary.verified.items() if count)
        facts["stored by the CSMS"] = stored or "none"
    if summary.rollout:
        facts["UpdateFirmware"] = ", ".join(f"{count} {what}" for what, count in summary.rollout.items())
        facts["firmware"] = ", ".join(f"{count} with {what}" for what, count in summary.firmware.items())
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items())


def _calls(summary: Summary) -> str:
    head = ("message", "answered", "failed", "a second", "median", "95 %", "99 %", "most")
    cells = "".join(f'<th scope="col"{_number(place)}>{name}</th>' for place, name in enumerate(head))
    rows = ""
    for each in summary.calls:
        figures = (each.median_ms, each.p95_ms, each.p99_ms, each.max_ms)
        row = (each.action, each.answered, each.failed, f"{each.per_s:.1f}", *(f"{figure:.0f}" for figure in figures))
        rows += "<tr>" + "".join(f"<td{_number(at)}>{escape(str(cell))}</td>" for at, cell in enumerate(row)) + "</tr>"
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table>"


def _number(place: int) -> str:
    return ' class="number"' if place else ""


def _listed(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<section class="card"><h2>{title} <small>{len(lines)}</small></h2>{items}</section>'


def _plot(title: str, unit: str, series: tuple[_Series, ...], moments: Sequence[Moment]) -> str:
    """A line for each of at most two series over the time of the run."""
    names = [name for name, _ in series]
    values = [[read(moment) for moment in moments] for _, read in series]
    most = _round_up(max(1.0, *(value for line in values for value in line)))
    last = moments[-1].t_s or 1.0

    def at(t_s: float, value: float) -> str:
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * t_s / last
        y = _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - value / most)
        return f"{x:.1f},{y:.1f}"

    lines = ""
    for kind, line in zip(("first", "second"), values, strict=False):
        points = " ".join(at(moment.t_s, value) for moment, value in zip(moments, line, strict=True))
        lines += f'<polyline class="{kind}" points="{points}"/>'
    label = f"{title}: {', '.join(f'{name} at most {max(line):.4g}' for name, line in zip(names, values, strict=True))}"
    keys = ", ".join(
        f'<span class="{kind}-name">{escape(name)}</span>'
        for kind, name in zip(("first", "second"), names, strict=False)
    )
    return (
        f'<figure class="card" style="margin:0"><h2>{escape(title)} <small>{escape(unit)} {keys}</small></h2>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{_axes(most, last)}{lines}</svg>"
        "</figure>"
    )


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 times a power of ten, whose half is a short number, too."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 4.0, 6.0, 8.0, 10.0) if step * power >= value)


def _axes(most: float, last_s: float) -> str:
    parts = ""
    for share in (0.0, 0.5, 1.0):
        y = _TOP + (_HEIGHT - _TOP - _BOTTOM) * (1.0 - share)
        parts += f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        parts += f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{most * share:.3g}</text>'
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * share
        text = f"{last_s * share / 60:.1f} min"
        parts += f'<text x="{x:.1f}" y="{_HEIGHT - 4}" text-anchor="{anchor}">{text}</text>'
    return parts
