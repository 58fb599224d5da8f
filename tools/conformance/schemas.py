# SPDX-License-Identifier: Apache-2.0
"""The JSON schemas of OCPP 2.0.1, compiled: every message of the station, and every one of ours, is checked with them.

The schema files come with the PyPI package `ocpp`; they are read without importing it (that costs 200 ms).
"""

from __future__ import annotations

import functools
import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema_rs

from firmware.clock import parse_utc

__all__ = ["actions", "problem"]


def _is_date_time(value: str) -> bool:
    try:
        parse_utc(value)
    except ValueError:
        return False
    return True


_FORMATS = {"date-time": _is_date_time}


@functools.cache
def _folder() -> Path:
    spec = importlib.util.find_spec("ocpp")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the package `ocpp` is not installed: its JSON schemas are needed")
    return Path(spec.submodule_search_locations[0]) / "v201" / "schemas"


@functools.cache
def actions() -> frozenset[str]:
    """The name of every action of the specification."""
    return frozenset(path.stem.removesuffix("Request") for path in _folder().glob("*Request.json"))


@functools.cache
def _validator(name: str) -> jsonschema_rs.Draft6Validator:
    schema = json.loads((_folder() / f"{name}.json").read_text())
    return jsonschema_rs.Draft6Validator(schema, validate_formats=True, formats=_FORMATS)


def problem(action: str, kind: str, payload: Any) -> str | None:
    """What is wrong with `payload` as a `kind` (`Request` or `Response`) of `action`; `None` when it is right."""
    if action not in actions():
        return f"{action} is no action of OCPP 2.0.1"
    error = next(_validator(action + kind).iter_errors(payload), None)
    if error is None:
        return None
    where = ".".join(str(part) for part in error.instance_path)
    return f"{action}{kind}{f' at {where}' if where else ''}: {error.message}"
