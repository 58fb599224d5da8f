# SPDX-License-Identifier: Apache-2.0
"""The report of a run: `report.json` for programs, `junit.xml` for CI, `report.html` for people."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from firmware.clock import format_utc
from tools.conformance.run.measure import Figure, summarise
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
        "features": {title: [asdict(row) for row in rows] for title, rows in product.tables.items()},
        "summary": {outcome.name.lower(): n[outcome] for outcome in Outcome},
        "performance": [asdict(figure) for figure in figures],
        "cases": [_case(result) for result in results],
    }


def _case(result: Result) -> dict[str, Any]:
    return {
        "id": result.entry.id,
        "profile": result.entry.profile,
        "group": result.entry.group,
        "name": result.entry.name,
        "outcome": result.outcome.name.lower(),
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
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #1c2329; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 2px solid #d5dde3; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem;
  vertical-align: top; } td:first-child { white-space: nowrap; }
th { background: #eef2f5; } tr + tr td { border-top: 1px solid #e3e9ed; } td.n { text-align: right; }
.PASS { color: #17663a; } .FAIL, .MISSING { color: #a31621; font-weight: 600; } .SKIP { color: #6b7680; }
.sum { font-size: 1.3rem; } small { color: #6b7680; } code { font-size: .9em; }
"""


def _page(
    results: Sequence[Result], product: ProductUnderTest, figures: Sequence[Figure], data: Mapping[str, Any]
) -> str:
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Conformance report</title>",
        f"<style>{_STYLE}</style><h1>Conformance report</h1>",
        f"<p>{_e(data['standard'])}. <small>{_e(data['started'])} to {_e(data['finished'])}</small></p>",
        f"<p class=sum>{_e(last_line(results))}</p>",
        "<p><small>Made by the project's own runner: not a certificate of the Open Charge Alliance.</small></p>",
        "<h2>Product</h2>",
        _table(("", ""), data["product"].items()),
        _profiles(results),
        _performance(figures),
        *_features(product),
        "<h2>Test cases</h2>",
        _table(("Case", "Name", "Result", "s", ""), (_row(result) for result in results)),
        "</html>\n",
    ]
    return "\n".join(parts)


def _profiles(results: Sequence[Result]) -> str:
    rows = []
    for profile in dict.fromkeys(result.entry.profile for result in results):
        n = count([result for result in results if result.entry.profile == profile])
        rows.append((profile, *(n[outcome] for outcome in Outcome)))
    return "<h2>Profiles</h2>" + _table(("Profile", "Passed", "Failed", "Not applicable", "Not written"), rows)


def _performance(figures: Sequence[Figure]) -> str:
    rows = [(f.name, f"{f.limit_s:g}", f.count, f"{f.min_s:.3f}", f"{f.max_s:.3f}", f"{f.mean_s:.3f}") for f in figures]
    head = ("Measured", "Limit (s)", "Samples", "Min (s)", "Max (s)", "Mean (s)")
    return "<h2>Performance</h2>" + _table(head, rows)


def _features(product: ProductUnderTest) -> Iterable[str]:
    for title, rows in product.tables.items():
        cells = [(_certificate_id(row.id), row.title, _answer(row.answer)) for row in rows]
        yield f"<h2>{_e(title)}</h2>" + _table(("Id", "Feature", "Answer"), cells)


def _certificate_id(number: str) -> str:
    """The id, unless the answer is only an operand of conditions, without a row in the certificate."""
    return number if number[0].isupper() else ""


def _answer(value: object) -> str:
    return ("Yes" if value else "No") if isinstance(value, bool) else str(value)


def _row(result: Result) -> tuple[object, ...]:
    why = "; ".join(str(failure) for failure in result.failures) or result.reason
    seconds = f"{result.seconds:.1f}" if result.seconds else ""
    return result.entry.id, result.entry.title, result.outcome, seconds, why


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
