# SPDX-License-Identifier: Apache-2.0
"""The report of a run: `report.json` for programs, `junit.xml` for CI, `report.html` for people."""

from __future__ import annotations

import html
import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from firmware.clock import format_utc
from firmware.version import VERSION
from firmware.web import LOOK
from tools.conformance.run.measure import ROWS, Figure, summarise
from tools.conformance.run.product import ProductUnderTest
from tools.conformance.run.results import Outcome, Result, count, last_line

__all__ = ["write"]


def write(
    folder: Path, results: Sequence[Result], product: ProductUnderTest, *, started: float, finished: float
) -> None:
    """Writes the three files into `folder`; times are UTC seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = summarise((result.measured for result in results), product.limits)
    data = _data(results, product, figures, started=started, finished=finished)
    (folder / "report.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    suite = ElementTree.ElementTree(_junit(results, data["started"], finished - started))
    suite.write(folder / "junit.xml", encoding="utf-8", xml_declaration=True)
    (folder / "report.html").write_text(_page(results, product, figures, data))


def _data(
    results: Sequence[Result], product: ProductUnderTest, figures: Sequence[Figure], *, started: float, finished: float
) -> dict[str, Any]:
    n = count(results)
    return {
        "standard": "OCPP 2.0.1 part 6, charging station",
        "started": format_utc(started),
        "finished": format_utc(finished),
        "product": {"name": product.name, **product.about},
        "station": _station(results),
        "runner": _runner(),
        "features": {title: [asdict(row) for row in rows] for title, rows in product.tables.items()},
        "summary": {outcome.name.lower(): n[outcome] for outcome in Outcome},
        "performance": [asdict(figure) for figure in figures],
        "cases": [_case(result) for result in results],
    }


def _station(results: Sequence[Result]) -> dict[str, str]:
    """What the station said of itself in its BootNotifications; a value that changed has all of them."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        for name, value in result.station.items():
            found.setdefault(name, {})[value] = None
    return {_STATION[name]: _few(list(values)) for name, values in found.items() if name in _STATION}


_STATION = {
    "vendorName": "Station's vendor",
    "model": "Station's model",
    "serialNumber": "Serial number",
    "firmwareVersion": "Firmware version",
}


def _few(values: Sequence[str]) -> str:
    return ", ".join(values) if len(values) <= _MANY else f"{values[0]} and {len(values) - 1} others (a station a case)"


_MANY = 3


def _runner() -> str:
    """This program's version, and the commit of its checkout if it runs from one."""
    checkout = Path(__file__).resolve().parents[3]
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return f"baywatt {VERSION}"
    return f"baywatt {VERSION}, commit {done.stdout.strip()}"


def _case(result: Result) -> dict[str, Any]:
    return {
        "id": result.entry.id,
        "profile": result.entry.profile,
        "group": result.entry.group,
        "name": result.entry.name,
        "outcome": result.outcome.name.lower(),
        "verdict": _VERDICTS[result.outcome],
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "failures": [asdict(failure) for failure in result.failures],
        "log": Path(result.log).name if result.log else "",
    }


def _junit(results: Sequence[Result], started: str, seconds: float) -> ElementTree.Element:
    n = count(results)
    bad = n[Outcome.FAILED] + n[Outcome.MISSING]
    numbers = {"tests": len(results), "failures": bad, "errors": 0, "skipped": n[Outcome.SKIPPED]}
    attributes = {k: str(v) for k, v in numbers.items()} | {"time": f"{seconds:.1f}", "timestamp": started}
    suite = ElementTree.Element("testsuite", {"name": "conformance", **attributes})
    for result in results:
        name = f"{result.entry.id} {result.entry.title}"
        attributes = {"classname": f"conformance.{result.entry.block}", "name": name, "time": f"{result.seconds:.3f}"}
        element = ElementTree.SubElement(suite, "testcase", attributes)
        if result.outcome is Outcome.SKIPPED:
            ElementTree.SubElement(element, "skipped", {"message": result.reason})
        elif result.outcome is not Outcome.PASSED:
            _failure(element, [_xml_text(str(failure)) for failure in result.failures] or [result.reason])
    return suite


def _failure(element: ElementTree.Element, texts: Sequence[str]) -> None:
    """One `failure` for all of them: JUnit's schema allows no more."""
    failure = ElementTree.SubElement(element, "failure", {"message": texts[0], "type": "conformance"})
    failure.text = "\n".join(texts)


def _xml_text(text: str) -> str:
    """`text` without the characters that XML 1.0 can't represent."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


_STYLE = """
body { font-size: 15px; }
main { max-width: 72rem; margin: 0 auto; padding: 24px 16px 48px; display: grid; gap: 16px; }
h1 { margin: 0; font-size: 22px; } h2 { font-size: 16px; margin: 0 0 8px; }
.sum { font-size: 20px; margin: 4px 0; } .muted { color: var(--muted); font-size: 13px; margin: 0; }
.card { overflow-x: auto; } td, td.wrap { white-space: normal; } td:first-child { white-space: nowrap; }
summary { cursor: pointer; font-weight: 650; } details[open] summary { margin-bottom: 8px; }
.PASS { color: var(--good); } .FAIL, .MISSING { color: var(--bad); font-weight: 600; } .SKIP { color: var(--muted); }
.failure { border-left: 3px solid var(--bad); padding: 2px 0 2px 12px; margin: 10px 0; overflow-wrap: anywhere; }
a { color: var(--accent); }
"""
_VERDICTS = {
    Outcome.PASSED: "Pass",
    Outcome.FAILED: "Fail",
    Outcome.SKIPPED: "Not applicable",
    Outcome.MISSING: "Not executed",
}
"""The verdicts in the words of a test laboratory."""


def _page(
    results: Sequence[Result], product: ProductUnderTest, figures: Sequence[Figure], data: Mapping[str, Any]
) -> str:
    look = (LOOK / "look.css").read_text()
    failed = [result for result in results if result.outcome in (Outcome.FAILED, Outcome.MISSING)]
    words = {row.id: row.title for rows in product.tables.values() for row in rows}
    about = {**data["product"], **data["station"], "Runner": data["runner"]}
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<meta name=color-scheme content='light dark'><title>Conformance: {_e(product.name)}</title>",
        f"<style>{look}{_STYLE}</style><main><header><h1>Conformance report</h1>",
        f"<p class=sum>{_e(last_line(results))}</p>",
        f"<p class=muted>{_e(data['standard'])}. {_e(data['started'])} to {_e(data['finished'])}</p>",
        "<p class=muted>Made by the project's own runner: not a certificate of the Open Charge Alliance.</p></header>",
        *([_card("Failed", "".join(_failed(result) for result in failed))] if failed else []),
        _card("Profiles", _profiles(results)),
        _card("Test cases", _table(_CASES, (_row(result, words) for result in results))),
        _card("Performance", _performance(figures)),
        _card("Product and station", _table(("", ""), about.items())),
        *_features(product),
        "</main></html>\n",
    ]
    return "\n".join(parts)


_CASES = ("Case", "Name", "Result", "s", "")


def _card(title: str, content: str) -> str:
    return f"<section class=card><h2>{_e(title)}</h2>{content}</section>"


def _failed(result: Result) -> str:
    log = f' <a href="logs/{_e(Path(result.log).name)}">log</a>' if result.log else ""
    texts = [str(failure) for failure in result.failures] or [result.reason]
    lines = "".join(f"<div>{_e(text)}</div>" for text in texts)
    return f"<div class=failure><b>{_e(result.entry.id)}</b> {_e(result.entry.title)}{log}{lines}</div>"


def _profiles(results: Sequence[Result]) -> str:
    rows = []
    for profile in dict.fromkeys(result.entry.profile for result in results):
        n = count([result for result in results if result.entry.profile == profile])
        rows.append((profile, *(n[outcome] for outcome in Outcome)))
    return _table(("Profile", "Passed", "Failed", "Not applicable", "Not written"), rows)


def _performance(figures: Sequence[Figure]) -> str:
    """The certificate's rows; "not measurable" where no case of the run gave a sample."""
    found = {figure.name: figure for figure in figures}
    rows = []
    for name in ROWS.values():
        figure = found.get(name)
        cells = (
            ("", "0", "not measurable", "", "")
            if figure is None
            else (
                f"{figure.limit_s:g}",
                figure.count,
                *(f"{s:.3f}" for s in (figure.min_s, figure.max_s, figure.mean_s)),
            )
        )
        rows.append((name, *cells))
    return _table(("Measured", "Limit (s)", "Samples", "Min (s)", "Max (s)", "Mean (s)"), rows)


def _features(product: ProductUnderTest) -> Iterable[str]:
    for title, rows in product.tables.items():
        cells = [(_certificate_id(row.id), row.title, _answer(row.answer)) for row in rows]
        table = _table(("Id", "Feature", "Answer"), cells)
        yield f"<details class=card><summary>{_e(title)}</summary>{table}</details>"


def _certificate_id(number: str) -> str:
    """The id, unless the answer is only an operand of conditions, without a row in the certificate."""
    return number if number[0].isupper() else ""


def _answer(value: object) -> str:
    return ("Yes" if value else "No") if isinstance(value, bool) else str(value)


def _row(result: Result, words: Mapping[str, str]) -> tuple[object, ...]:
    why = "; ".join(str(failure) for failure in result.failures) or _in_words(result.reason, words)
    seconds = f"{result.seconds:.1f}" if result.seconds else ""
    return result.entry.id, result.entry.title, result.outcome, seconds, why


def _in_words(reason: str, words: Mapping[str, str]) -> str:
    """`C-13 is No` as `C-13, Reset per EVSE: No`."""
    return re.sub(
        r"\b([A-Z]+-[\d.]+[a-z]?) is ",
        lambda found: f"{found[1]}, {words[found[1]]}: " if found[1] in words else found[0],
        reason,
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["<table>"]
    if any(head):
        lines.append("<tr>" + "".join(f"<th>{_e(name)}</th>" for name in head) + "</tr>")
    lines += ["<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _cell(value: object) -> str:
    if isinstance(value, Outcome):
        return f"<td class={value.value}>{value.value}</td>"
    return f"<td>{_e(value)}</td>"


def _e(value: object) -> str:
    return html.escape(str(value))
