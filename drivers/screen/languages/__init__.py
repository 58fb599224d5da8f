# SPDX-License-Identifier: Apache-2.0
"""The words of the displays: `de.json` is German, and so on; each has the same keys and placeholders.

`PAGE.title` and `PAGE.hint` are of a page; `reason`, `out_of_service`, `fault`, `advice`, `step`, `offline`, `state`
and `suspended` are followed by a code of `firmware/contract/display.py`. `language` is the language's own name.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["FOLDER", "codes", "words"]

FOLDER = Path(__file__).parent
_ORDER = ("en", "de", "fr", "es", "zh", "ja")


def codes() -> list[str]:
    """The languages that there are; the usual ones in their usual order, others after them."""
    found = {file.stem for file in FOLDER.glob("*.json")}
    return [code for code in _ORDER if code in found] + sorted(found - set(_ORDER))


def words(code: str) -> dict[str, str]:
    """The words of one language; raises `OSError` for one that there is not."""
    return msgspec.json.decode((FOLDER / f"{code}.json").read_bytes(), type=dict[str, str])
