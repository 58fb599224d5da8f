# SPDX-License-Identifier: Apache-2.0
"""Command lines whose errors are one line for a person: where, what was expected, what came."""

from __future__ import annotations

import argparse
import math
import re
from typing import NoReturn

from firmware.words import in_range, shown

__all__ = ["Parser", "count", "factor", "number", "whole"]

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)


class Parser(argparse.ArgumentParser):
    """Reports an error in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def whole(text: str) -> int:
    """A whole number."""
    return _whole(text, None)


def number(text: str) -> float:
    """A number."""
    return _number(text, "a number")


def count(text: str) -> int:
    """A whole number from 1."""
    return _whole(text, 1)


def factor(text: str) -> float:
    """A number above 0."""
    value = _number(text, "a number above 0")
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {shown(text)}")
    return value


def _whole(text: str, least: int | None) -> int:
    if not _WHOLE.fullmatch(text) or (least is not None and int(text) < least):
        raise argparse.ArgumentTypeError(f"expected {in_range('a whole number', least, None)}, got {shown(text)}")
    return int(text)


def _number(text: str, noun: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected {noun}, got {shown(text)}")
    return value
