# SPDX-License-Identifier: Apache-2.0
"""Typed settings from TOML: an unknown key, a wrong type or a value out of bounds is an error that says where.

The classes are beside what they configure: `FactorySettings` in `firmware/factory_settings.py`, `HalConfig` in
`hal/config.py`, `ServiceConfig` in `services/ocpp/config.py`, `Product` in `firmware/product/model.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from firmware.errors import ConfigError
from firmware.type_words import type_problem
from firmware.words import not_toml

__all__ = ["convert", "load", "read_toml"]

_T = TypeVar("_T")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the file's tables; raises `ConfigError` if it can't be read or is not TOML."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # ValueError: also an integer of thousands of digits
        raise ConfigError(f"{path}: {not_toml(error)}") from error


def convert(data: object, kind: type[_T], where: object, *, look_up: Callable[[type, Any], Any] | None = None) -> _T:
    """Return `data` as a `kind`; raises `ConfigError` with `where` (usually the path) and the place in the data.

    `look_up(type, value)` returns what a value stands for where the type is a class that TOML can't express, such as
    a name for a bus; it raises `ValueError` with the reason.
    """
    try:
        return msgspec.convert(data, kind, dec_hook=look_up)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {type_problem(error, kind, data, table='a table')}") from error


def load(path: Path, kind: type[_T]) -> _T:
    """Return the settings in `path`; raises `ConfigError`."""
    return convert(read_toml(path), kind, path)
