# SPDX-License-Identifier: Apache-2.0
"""Reads a product file: the file it extends, its references, its consistency."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from firmware.config import convert, read_toml
from firmware.errors import ConfigError
from firmware.product.consistency import contradictions
from firmware.product.model import Product, VariableRow

__all__ = ["load", "names"]

_HERE = Path(__file__).parent
_KEY = ("component", "component_instance", "evse", "connector", "variable", "instance")
_MOST_EXTENDS = 4
_MOST_VALUES = 1000
"""Characters in a valuesList."""


def names() -> list[str]:
    """The products that are installed with this firmware."""
    return sorted(file.stem for file in _HERE.glob("*.toml"))


def load(name_or_path: str | Path, read: list[Path] | None = None) -> Product:
    """Return the product with a name (`c7am-400-cc`) or in a file (anything with a `/` or `.toml`).

    A file that `extends` another inherits all of it and contains only what differs: tables are merged by key, rows of
    the device model by the variable they address. The files are added to `read`. Raises `ConfigError`.
    """
    path = _find(name_or_path, Path())
    product = convert(_resolve(_read(path, _MOST_EXTENDS, [] if read is None else read), path), Product, path)
    _check(product, path)
    return product


def _find(name_or_path: str | Path, relative_to: Path) -> Path:
    text = str(name_or_path)
    path = relative_to / text if "/" in text or text.endswith(".toml") else _HERE / f"{text}.toml"
    if not path.is_file():
        raise ConfigError(f"{path}: no such product file (known products: {', '.join(names())})")
    return path


def _read(path: Path, most_extends: int, read: list[Path]) -> dict[str, Any]:
    read.append(path)
    data = read_toml(path)
    if "device_model" in data:
        _check_shape(data["device_model"], path)
    base = data.pop("extends", None)
    if base is None:
        return data
    if not isinstance(base, str) or most_extends == 0:
        raise ConfigError(f"{path}: extends: expected the name of a product, without a circle")
    return _merge(_read(_find(base, path.parent), most_extends - 1, read), data)


def _check_shape(model: Any, path: Path) -> None:
    rows = model.get("variables") if isinstance(model, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{path}: device_model: expected a table with a list `variables` of tables")


def _merge(base: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in data.items():
        if key == "variables":
            merged[key] = _merge_rows(base.get(key, []), value)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _merge(base[key], value)
        else:
            merged[key] = value
    return merged


def _merge_rows(base: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged = {_address(row): row for row in base}
    for row in rows:
        merged[_address(row)] = {**merged.get(_address(row), {}), **row}
    return list(merged.values())


def _address(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(key) for key in _KEY)


def _resolve(data: dict[str, Any], path: Path) -> dict[str, Any]:
    """Replace the references in the variable rows by their values."""
    model: Any = data.get("device_model")
    _check_shape(model, path)
    rows = []
    for row in model["variables"]:
        row = {key: _refer(value, data, path) for key, value in row.items()}
        if "value" in row:
            row["value"] = _text(row["value"])
        rows.append(row)
    return {**data, "device_model": {**model, "variables": rows}}


def _text(value: Any) -> Any:
    """Return a value, perhaps from a typed reference, as OCPP writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value) if isinstance(value, int) else value


def _refer(value: Any, data: dict[str, Any], path: Path) -> Any:
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    section, _, name = value[1:].partition(".")
    try:
        return data[section][name]
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path}: device_model: {value} refers to nothing") from error


def _check(product: Product, path: Path) -> None:
    """Check what types can't express."""
    seen: set[tuple[Any, ...]] = set()
    for row in product.device_model.variables:
        place = f"{path}: {row.component}.{row.variable}"
        if _row_address(row) in seen:
            raise ConfigError(f"{place}: listed twice")
        seen.add(_row_address(row))
        if row.connector is not None and row.evse is None:
            raise ConfigError(f"{place}: a connector without an EVSE")
        _check_limits(row, place)
        if isinstance(row.evse, int) and row.evse not in {evse.id for evse in product.hardware.evse}:
            raise ConfigError(f"{place}: there is no EVSE {row.evse}")
    if [evse.id for evse in product.hardware.evse] != list(range(1, len(product.hardware.evse) + 1)):
        raise ConfigError(f"{path}: hardware.evse: ids must be 1, 2, 3 ... (part 1, section 2.2)")
    for problem in contradictions(product):
        raise ConfigError(f"{path}: {problem}")


def _check_limits(row: VariableRow, place: str) -> None:
    """Check what could not be reported in a VariableCharacteristicsType."""
    if not all(limit is None or math.isfinite(limit) for limit in (row.min, row.max)):
        raise ConfigError(f"{place}: min and max must be finite")
    if row.min is not None and row.max is not None and row.min > row.max:
        raise ConfigError(f"{place}: min is above max")
    if len(",".join(row.values)) > _MOST_VALUES or any("," in value for value in row.values):
        raise ConfigError(f"{place}: values: no commas, and at most {_MOST_VALUES} characters in all")


def _row_address(row: VariableRow) -> tuple[Any, ...]:
    """Names are case-insensitive (part 2, 2.16, 2.53)."""
    values = (getattr(row, key) for key in _KEY)
    return tuple(value.lower() if isinstance(value, str) else value for value in values)
