# SPDX-License-Identifier: Apache-2.0
"""The device models of stations, as they have reported them. Pure.

A model begins with GetBaseReport and is filled by the parts of NotifyReport (B07), by those of NotifyMonitoringReport
(N02), and kept true by what SetVariables, GetVariables and NotifyEvent say later. It is in memory only: a station can
report it again at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from msgspec import Struct

__all__ = ["DeviceModels", "Progress"]

_MAX_MODELS = 16
_MAX_VARIABLES = 20_000
_Place: TypeAlias = tuple[str, str, int, int, str, str]
_Entry: TypeAlias = dict[str, Any]


class Progress(Struct, frozen=True):
    """How far a report is; `request_id` None: none was asked for, or it is no longer held."""

    request_id: int | None = None
    parts: int = 0
    variables: int = 0
    complete: bool = False
    cut: bool = False
    """There were more variables than are held."""


@dataclass
class _Model:
    request_id: int
    parts: int = 0
    complete: bool = False
    cut: bool = False
    entries: dict[_Place, _Entry] = field(default_factory=dict)

    def put(self, place: _Place, entry: _Entry) -> None:
        if place in self.entries or len(self.entries) < _MAX_VARIABLES:
            self.entries[place] = entry
        else:
            self.cut = True

    def progress(self) -> Progress:
        return Progress(self.request_id, self.parts, len(self.entries), self.complete, self.cut)


def _place(item: Mapping[str, Any]) -> _Place:
    """Names are compared without regard to case (part 2, 2.1.2)."""
    component, variable = item["component"], item["variable"]
    evse = component.get("evse", {})
    names = (component["name"], component.get("instance", ""), variable["name"], variable.get("instance", ""))
    one, two, three, four = (name.casefold() for name in names)
    return one, two, evse.get("id", 0), evse.get("connectorId", 0), three, four


class DeviceModels:
    """Of some stations, those read last. Payloads have passed their schemas; methods return what has changed."""

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}

    def progress(self, station: str) -> Progress:
        model = self._models.get(station)
        return model.progress() if model else Progress()

    def variables(self, station: str) -> list[_Entry]:
        """Each as in NotifyReport's `reportData`, with the `monitors` that are known."""
        model = self._models.get(station)
        return list(model.entries.values()) if model else []

    def on_request(self, station: str, action: str, payload: Mapping[str, Any]) -> None:
        """A GetBaseReport is about to be sent; its parts may come before its answer."""
        request_id = payload.get("requestId")
        if action == "GetBaseReport" and isinstance(request_id, int):
            self._begin(station, request_id)

    def _begin(self, station: str, request_id: int) -> _Model:
        self._models.pop(station, None)
        self._models[station] = model = _Model(request_id)
        while len(self._models) > _MAX_MODELS:
            del self._models[next(iter(self._models))]
        return model

    def on_report(self, station: str, request: Mapping[str, Any]) -> Progress:
        """A part of NotifyReport. One that was not asked for here begins a model, or is added to what is there."""
        model = self._models.get(station) or self._begin(station, request["requestId"])
        for item in request.get("reportData", ()):
            monitors = model.entries.get(_place(item), {}).get("monitors", [])
            model.put(_place(item), {**item, "monitors": monitors})
        if request["requestId"] == model.request_id:
            model.parts += 1
            model.complete = not request.get("tbc", False)
        return model.progress()

    def on_monitoring_report(self, station: str, request: Mapping[str, Any]) -> list[_Entry]:
        """NotifyMonitoringReport: what is monitored."""
        return self._update(station, request.get("monitor", ()), _with_monitors)

    def on_answer(
        self, station: str, action: str, request: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> list[_Entry]:
        """The answer to SetVariables or GetVariables: values that hold from now on."""
        if action == "SetVariables":
            wanted = [item.get("attributeValue", "") for item in request["setVariableData"]]
            results = answer["setVariableResult"]
            found = [
                {**result, "attributeValue": value}
                for result, value in zip(results, wanted, strict=False)
                if result["attributeStatus"] == "Accepted"
            ]
            return self._update(station, found, _with_value)
        if action == "GetVariables":
            found = [item for item in answer["getVariableResult"] if item["attributeStatus"] == "Accepted"]
            return self._update(station, found, _with_value)
        return []

    def on_events(self, station: str, events: Iterable[Mapping[str, Any]]) -> list[_Entry]:
        """NotifyEvent: actual values."""
        found = [{**event, "attributeValue": event["actualValue"]} for event in events]
        return self._update(station, found, _with_value)

    def _update(
        self, station: str, items: Iterable[Mapping[str, Any]], changed: Callable[[_Entry, Mapping[str, Any]], _Entry]
    ) -> list[_Entry]:
        model = self._models.get(station)
        if model is None:
            return []
        entries = []
        for item in items:
            place = _place(item)
            if place in model.entries:
                model.entries[place] = entry = changed(model.entries[place], item)
                entries.append(entry)
        return entries


def _with_value(entry: _Entry, item: Mapping[str, Any]) -> _Entry:
    kind = item.get("attributeType", "Actual")
    attributes = [
        {**attribute, "value": item.get("attributeValue", "")}
        if attribute.get("type", "Actual") == kind and attribute.get("mutability") != "WriteOnly"
        else attribute
        for attribute in entry["variableAttribute"]
    ]
    return {**entry, "variableAttribute": attributes}


def _with_monitors(entry: _Entry, item: Mapping[str, Any]) -> _Entry:
    return {**entry, "monitors": item["variableMonitoring"]}
