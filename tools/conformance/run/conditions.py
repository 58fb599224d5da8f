# SPDX-License-Identifier: Apache-2.0
"""The conditions of the certification profiles (`(C-30 or C-31) and NOT AQ-2`), evaluated with a product's answers.

There are three values: true, false, and `None` if the product file does not have the answer. An operand is an
answer's id (also as `C.06.1` or `C35`), a comparison (`HFS-8 > 1`), a range (`C-30 - C-35`, meaning any of them), or
one of the few features that are written out in words (`Smart Charging`).
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import TypeAlias

__all__ = ["Answers", "evaluate", "operands"]

Answers: TypeAlias = Mapping[str, bool | int | float | str]

_IN_WORDS = {
    "smart charging": "profile-smart-charging",
    "iso 15118 support": "profile-iso-15118-support",
    "iso15118 support": "profile-iso-15118-support",
    "local authorization list management": "profile-local-authorization-list-management",
    'product subtype "mode 1/2-only charging station"': "subtype-mode-1-2-only",
}
_ID = r"(?:HFS|ORS|AQ|AS|C)[-.]?\d+(?:\.\d+)?"
_TOKEN = re.compile(
    rf"\s*(?:(?P<paren>[()])|(?P<range>{_ID}\s*-\s*(?:\(or\)\s*)?{_ID})|(?P<compare>{_ID}\s*>\s*\d+)|(?P<id>{_ID})"
    rf"|(?P<op>and|or|not)\b|(?P<words>{'|'.join(re.escape(words) for words in _IN_WORDS)}))",
    re.IGNORECASE,
)


class _Unreadable(ValueError):
    """The condition is prose, outside this grammar."""


def evaluate(condition: str, answers: Answers) -> bool | None:
    """Whether `condition` holds; `None` if an answer is missing or the condition is outside this grammar."""
    text = _text(condition)
    if not text.strip():
        return True
    try:
        parser = _Parser(_tokens(text), answers)
        return parser.whole()
    except _Unreadable:
        return None


def operands(condition: str, answers: Answers) -> dict[str, str]:
    """The product's answer to each operand of `condition`: `{"C-13": "No"}`."""
    found = {}
    for kind, text in _tokens(_text(condition)):
        if kind in ("id", "range", "words"):
            value = _Parser([(kind, text)], answers).whole()
            found[_key(text) if kind == "id" else text] = "Yes" if value else "No" if value is False else "not answered"
        elif kind == "compare":
            name = _key(text.partition(">")[0].strip())
            found[name] = str(answers.get(name, "not answered"))
    return found


def _text(condition: str) -> str:
    return re.sub(r"\(errata [^)]*\)", "", condition.rpartition("Charging Station: ")[2] or condition)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _Unreadable(text[position:])
        found.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return found


def _key(name: str) -> str:
    digits = name.lstrip(string.ascii_letters)
    return f"{name.removesuffix(digits).upper()}-{digits.lstrip('-.')}"


def _truth(answer: object) -> bool | None:
    if answer is None:
        return None
    if isinstance(answer, str):
        return answer.strip().casefold() not in ("", "no", "false", "none", "n/a")
    return bool(answer)


def _any(values: Sequence[bool | None]) -> bool | None:
    if any(value is True for value in values):
        return True
    return None if None in values else False


def _all(values: Sequence[bool | None]) -> bool | None:
    if any(value is False for value in values):
        return False
    return None if None in values else True


class _Parser:
    """`or` binds weaker than `and`, `and` weaker than `not`."""

    def __init__(self, tokens: list[tuple[str, str]], answers: Answers) -> None:
        self._tokens = tokens
        self._answers = answers
        self._at = 0

    def whole(self) -> bool | None:
        value = self._or()
        missing = sum(1 if t == "(" else -1 for kind, t in self._tokens if kind == "paren")
        # One published condition has a bracket too many; the rest of it belongs to the outermost `and`.
        while self._at < len(self._tokens) and missing < 0 and self._peek() == ")":
            self._at += 1
            missing += 1
            value = _all([value, self._or()]) if self._accept("and") else value
        if self._at != len(self._tokens):
            raise _Unreadable(self._peek())
        return value

    def _peek(self) -> str:
        return self._tokens[self._at][1].casefold() if self._at < len(self._tokens) else ""

    def _accept(self, word: str) -> bool:
        if self._peek() == word:
            self._at += 1
            return True
        return False

    def _or(self) -> bool | None:
        values = [self._and()]
        while self._accept("or"):
            values.append(self._and())
        return _any(values)

    def _and(self) -> bool | None:
        values = [self._not()]
        while self._accept("and"):
            values.append(self._not())
        return _all(values)

    def _not(self) -> bool | None:
        if self._accept("not"):
            value = self._not()
            return None if value is None else not value
        if self._accept("("):
            value = self._or()
            if not self._accept(")"):
                raise _Unreadable("bracket")
            return value
        return self._operand()

    def _operand(self) -> bool | None:
        if self._at >= len(self._tokens):
            raise _Unreadable("end")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "words":
            return _truth(self._answers.get(_IN_WORDS[text.casefold()]))
        if kind == "compare":
            return self._compare(text)
        if kind == "range":
            return self._range(text)
        if kind == "id":
            return _truth(self._answers.get(_key(text)))
        raise _Unreadable(text)

    def _compare(self, text: str) -> bool | None:
        name, bound = (part.strip() for part in text.split(">"))
        answer = self._answers.get(_key(name))
        return None if isinstance(answer, str) or answer is None else float(answer) > float(bound)

    def _range(self, text: str) -> bool | None:
        first, last = (_key(name) for name in re.findall(_ID, text, re.IGNORECASE))
        letters, start = first.split("-")
        _, stop = last.split("-")
        keys = [f"{letters}-{number}" for number in range(int(start), int(stop) + 1)]
        return _any([_truth(self._answers.get(key)) for key in keys])
