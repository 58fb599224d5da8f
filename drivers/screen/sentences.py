# SPDX-License-Identifier: Apache-2.0
"""A page model in the words of a language, for displays that show lines of text. The web page has its own layout.

The keys are those of `languages/`; what is not known there is left out, never shown as a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from firmware.contract import Page, PageModel

__all__ = ["Figures", "button", "figures", "is_session", "lines", "notice", "title"]

_SESSION = (Page.CHARGING, Page.SUSPENDED, Page.STOPPING)
_CANCELLED = (Page.PLUG_IN, Page.PLUG_IN_AGAIN, Page.AUTHORISED, Page.PREPARING)


@dataclass(frozen=True, slots=True)
class Figures:
    """Texts of a session; empty: not known."""

    soc: str
    power: str
    energy: str
    time: str
    to_80: str
    shared: str


def is_session(model: PageModel) -> bool:
    """Whether the page has the figures of a session."""
    return model.page in _SESSION


def title(model: PageModel, words: Mapping[str, str]) -> str:
    return words.get(f"{model.page.value}.title", words["faulted.title"])


def lines(model: PageModel, words: Mapping[str, str]) -> list[str]:
    """The sentences below the title."""
    return [line for line in _lines(model, words) if line]


def _lines(model: PageModel, words: Mapping[str, str]) -> Iterator[str]:
    match model.page:
        case Page.REJECTED:
            yield words.get(f"reason.{_code(model.reason)}", words["reason.rejected"])
        case Page.UNAVAILABLE:
            yield words.get(f"out_of_service.{_code(model.out_of_service)}", "")
            if model.since is not None:
                yield words["since"].format(since=model.since.replace("T", " "))
        case Page.FAULTED | Page.EMERGENCY_STOP:
            worst = _code(model.faults[0]) if model.faults else ""
            yield words.get(f"fault.{worst}", words["fault.unknown"])
            yield words.get(f"advice.{_code(model.advice)}", "")
            if model.code:
                yield words["code"].format(code=model.code)
        case Page.OFFLINE:
            yield words.get(f"offline.{_code(model.offline)}", words["offline.unknown"])
            yield words["offline.hint"]
        case Page.SUSPENDED:
            yield words.get(f"suspended.{_code(model.suspended_by)}", "")
        case Page.AUTHORISED | Page.PREPARING:
            yield words.get(f"{model.page.value}.hint", "")
            yield words.get(f"step.{_code(model.step)}", "")
        case Page.FINISHED:
            yield words["finished.hint"]
            shown = figures(model, words)
            yield ", ".join(filter(None, [shown.energy, shown.time, shown.soc]))
        case _:
            yield words.get(f"{model.page.value}.hint", "")


def figures(model: PageModel, words: Mapping[str, str]) -> Figures:
    minutes = model.minutes_to_80
    return Figures(
        soc="" if model.soc_percent is None else f"{model.soc_percent} %",
        power="" if model.power_kw is None else f"{model.power_kw:.1f} kW",
        energy="" if model.energy_kwh is None else f"{model.energy_kwh:.2f} kWh",
        time="" if model.duration_s is None else _span(model.duration_s // 60, words),
        to_80="" if minutes is None else f"{words['to_80']}: {_span(minutes, words)}",
        shared="" if model.shared_with is None else words["shared"].format(evse=model.shared_with),
    )


def notice(model: PageModel, words: Mapping[str, str]) -> str:
    """What any page says besides: there is no connection to the CSMS."""
    if model.offline is None or model.page is Page.OFFLINE:
        return ""
    return words.get(f"offline.{model.offline.value}", words["offline.unknown"])


def button(model: PageModel, words: Mapping[str, str]) -> str:
    """The text of the one button, empty where there is nothing to do."""
    match model.page:
        case Page.IDLE:
            return words["button.select"]
        case Page.FINISHED:
            return words["button.again"]
        case Page.CHARGING | Page.SUSPENDED:
            return words["button.stop"]
        case page if page in _CANCELLED:
            return words["button.cancel"]
        case _:
            return ""


def _span(minutes: int, words: Mapping[str, str]) -> str:
    if minutes < 60:
        return words["span.minutes"].format(minutes=minutes)
    return words["span.hours"].format(hours=minutes // 60, minutes=minutes % 60)


def _code(value: object) -> str:
    return getattr(value, "value", "")
