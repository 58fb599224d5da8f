# SPDX-License-Identifier: Apache-2.0
"""Every language says everything: each code of the contract, with the same placeholders."""

from __future__ import annotations

import re
from enum import Enum

import msgspec
import pytest

from drivers.screen import PAGE, languages
from firmware.contract import Advice, Fault, Offline, OutletState, OutOfService, Page, Refusal, Step, SuspendedBy

ENGLISH = languages.words("en")
CODES = languages.codes()
_HINTED = {Page.REJECTED, Page.UNAVAILABLE, Page.FAULTED, Page.EMERGENCY_STOP, Page.SUSPENDED}
"""Pages whose second line is not always the same."""


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w*\}", text))


def test_the_six_languages() -> None:
    assert CODES == ["en", "de", "fr", "es", "zh", "ja"]
    assert len({languages.words(code)["language"] for code in CODES}) == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_each_language_has_the_same_keys_and_placeholders(code: str) -> None:
    words = languages.words(code)
    assert list(words) == list(ENGLISH)
    assert {key: placeholders(text) for key, text in words.items()} == {
        key: placeholders(text) for key, text in ENGLISH.items()
    }
    assert all(text.strip() == text and text for text in words.values())


@pytest.mark.parametrize("code", CODES)
def test_no_key_is_given_twice(code: str) -> None:
    text = (languages.FOLDER / f"{code}.json").read_text(encoding="utf-8")
    assert len(re.findall(r'^ "([^"]+)":', text, re.MULTILINE)) == len(msgspec.json.decode(text))


def test_every_code_of_the_contract_has_words() -> None:
    lists: dict[str, type[Enum]] = {
        "reason": Refusal,
        "out_of_service": OutOfService,
        "fault": Fault,
        "advice": Advice,
        "step": Step,
        "suspended": SuspendedBy,
        "offline": Offline,
        "state": OutletState,
    }
    needed = {f"{name}.{code.value}" for name, codes in lists.items() for code in codes}
    needed |= {f"{page.value}.title" for page in Page} | {f"{page.value}.hint" for page in set(Page) - _HINTED}
    assert needed <= set(ENGLISH)


def test_the_page_uses_every_word_and_no_other() -> None:
    script = (PAGE / "render.js").read_text(encoding="utf-8")
    said = set(re.findall(r'say\("([\w.]+)"', script)) | set(re.findall(r'"((?:button)\.\w+)"', script))
    assert said <= set(ENGLISH)
    families = {"reason", "out_of_service", "fault", "advice", "step", "suspended", "offline", "state"}
    families |= {page.value for page in Page}
    assert {key for key in ENGLISH if key.partition(".")[0] not in families} - said == {"language"}
