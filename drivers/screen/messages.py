# SPDX-License-Identifier: Apache-2.0
"""What a display's page and its driver say to each other: one JSON object a message, with a `kind`."""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from drivers.screen import languages
from firmware.contract import PageModel
from firmware.errors import ContractError

__all__ = ["Beat", "FromPage", "Select", "Stop", "decode", "hello", "page"]


class _FromPage(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True):
    pass


class Beat(_FromPage, frozen=True, tag="beat"):
    """The page has painted: every 2 s. Each message of the page is answered with a `beat`."""

    count: int


class Select(_FromPage, frozen=True, tag="select"):
    """The EV driver has chosen this outlet."""


class Stop(_FromPage, frozen=True, tag="stop"):
    """The EV driver wants to stop, and has confirmed it."""


FromPage: TypeAlias = Beat | Select | Stop
_decoder: msgspec.json.Decoder[FromPage] = msgspec.json.Decoder(FromPage)


def decode(message: str | bytes) -> FromPage:
    """Raises `ContractError`."""
    try:
        return _decoder.decode(message)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ContractError(str(error)) from error


def hello(language: str, theme: str) -> str:
    """The first message to a page: the station's language with its words, those to choose from, light or dark."""
    spoken = {code: languages.words(code) for code in languages.codes()}
    names = [(code, words["language"]) for code, words in spoken.items()]
    message = {"kind": "hello", "language": language, "words": spoken[language], "languages": names, "theme": theme}
    return msgspec.json.encode(message).decode()


def page(model: PageModel) -> str:
    """What the page shows from now on."""
    return msgspec.json.encode({"kind": "page", "model": model}).decode()
