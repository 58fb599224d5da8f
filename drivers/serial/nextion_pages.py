# SPDX-License-Identifier: Apache-2.0
"""What a Nextion panel shows of a page model: one of three pages of its project, and what its components say.

    page `message`   title, line1, line2, line3, notice, others, action, lang      texts
    page `session`   title, line1, soc, power, energy, time, to80, shared,
                     notice, action, lang                                          texts
                     bar                                                           progress bar, 0 to 100
    page `confirm`   title, yes, no                                                texts

docs/hardware/nextion.md says how to draw them with the panel's editor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.screen import sentences
from firmware.contract import PageModel

__all__ = ["CONFIRM", "MESSAGE", "SESSION", "Picture", "confirmation", "picture"]

MESSAGE, SESSION, CONFIRM = "message", "session", "confirm"
_LINES = 3
_OTHERS = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """A page of the panel's project, its texts and its numbers, each by the component's name."""

    page: str
    texts: dict[str, str]
    numbers: dict[str, int] = field(default_factory=dict)


def picture(model: PageModel, words: Mapping[str, str]) -> Picture:
    texts = {
        "title": sentences.title(model, words),
        "notice": sentences.notice(model, words),
        "action": sentences.button(model, words),
        "lang": words["language"],
    }
    lines = sentences.lines(model, words)
    if not sentences.is_session(model):
        shown = [*lines, *[""] * _LINES][:_LINES]
        texts |= {f"line{number}": line for number, line in enumerate(shown, 1)}
        texts["others"] = _others(model, words)
        return Picture(MESSAGE, texts)
    figures = sentences.figures(model, words)
    texts |= {
        "line1": " ".join(lines),
        "soc": figures.soc,
        "power": figures.power,
        "energy": figures.energy,
        "time": figures.time,
        "to80": figures.to_80,
        "shared": figures.shared,
    }
    return Picture(SESSION, texts, {"bar": min(100, max(0, model.soc_percent or 0))})


def confirmation(words: Mapping[str, str]) -> Picture:
    """The question before a stop."""
    return Picture(CONFIRM, {"title": words["confirm.title"], "yes": words["confirm.yes"], "no": words["confirm.no"]})


def _others(model: PageModel, words: Mapping[str, str]) -> str:
    """`Outlet 2: charging`, as far as there is room."""
    return ", ".join(
        f"{words['outlet'].format(evse=other.evse)}: {words[f'state.{other.state.value}']}"
        for other in model.others[:3]
    )
