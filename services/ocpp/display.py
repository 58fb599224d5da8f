# SPDX-License-Identifier: Apache-2.0
"""What the display of each EVSE shows, derived from the state; nothing here decides anything.

A refused card is explained for a few seconds, then the display shows the state again. A page is data in no language
(`firmware/contract/display.py`); what must be shown without this service, the HAL shows by itself.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from firmware.contract import (
    MAX_OUTLETS,
    EnergyFlow,
    Fault,
    Offline,
    Outlet,
    OutletState,
    Page,
    PageModel,
    Phase,
    Refusal,
    Show,
    Step,
    SuspendedBy,
    advice_of,
    worst_first,
)
from services.ocpp.charging_course import ChargingCourse
from services.ocpp.device_model import keys

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.signals import CardOutcome

__all__ = ["Display"]

_REFUSAL_S = 5.0

_WOUND_UP = (Phase.STOPPING, Phase.FINISHED)
_STEPS = {
    Phase.CABLE_CHECK: Step.CABLE_CHECK,
    Phase.PRECHARGE: Step.PRECHARGE,
    Phase.CHARGING: Step.ENERGY,
    Phase.PAUSED: Step.ENERGY,
}
_PLUGS = {"cTesla": "NACS", "cCCS1": "CCS1", "cCCS2": "CCS2", "cG105": "CHAdeMO"}
"""What EV drivers call the connector types of OCPP that they do not call by OCPP's name."""


class Display(Struct, eq=False):
    """`screens`: the EVSE of each screen."""

    context: Context
    screens: dict[int, int]
    _shown: dict[int, PageModel] = field(default_factory=dict)
    _refused: dict[int, tuple[Refusal, float]] = field(default_factory=dict)
    _courses: dict[int, ChargingCourse] = field(default_factory=dict)
    """By EVSE: of the running session, or of the last one."""
    _plugs: dict[int, str] = field(default_factory=dict)
    _seen: tuple[object, ...] = ()
    """What the pages were last made of."""

    def __post_init__(self) -> None:
        for evse in self.context.product.hardware.evse:
            kind = evse.connector[0].type
            self._plugs[evse.id] = _PLUGS.get(kind, kind[1:] if kind[:1] in "cs" else kind)

    def forget(self) -> None:
        """The HAL restarted and shows nothing: send every page again."""
        self._shown.clear()
        self._seen = ()

    def card(self, outcome: CardOutcome, now: float) -> None:
        """Explain a refused card on the display of its EVSE, or on all if no EVSE was selected."""
        self._seen = ()
        if not isinstance(outcome.result, Refusal):
            self._refused.clear()
            return
        for screen, evse in self.screens.items():
            if outcome.evse in (None, evse):
                self._refused[screen] = (outcome.result, now + _REFUSAL_S)

    def update(self, now: float) -> None:
        """Send the pages that have changed; called after every unit of work, most of which change none."""
        seen = self._inputs()
        if seen == self._seen and not self._refused:
            return
        self._seen = seen
        for evse in self.context.hal.evses.values():
            self._follow(evse, now)
        for screen, evse_id in self.screens.items():
            model = self._model(screen, self.context.hal.evses[evse_id], now)
            if self._shown.get(screen) != model and self.context.hal.present:
                self._shown[screen] = model
                self.context.hal.ask(Show(screen, model))

    def next_deadline(self) -> float | None:
        return min((until for _reason, until in self._refused.values()), default=None)

    def _inputs(self) -> tuple[object, ...]:
        """What pages are made of, but for time zone and clock: those count from the next meter reading, in 1 s."""
        hal, registration = self.context.hal, self.context.registration
        evses = [_inputs_of(evse) for evse in hal.evses.values()]
        return (hal.present, hal.selected, *hal.station_faults, registration.online, registration.why_offline, *evses)

    def _follow(self, evse: Evse, now: float) -> None:
        """Take the newest reading into the course of the EVSE's session."""
        course = self._courses.get(evse.evse)
        if evse.transaction_id is not None and (course is None or course.transaction_id != evse.transaction_id):
            course = self._courses[evse.evse] = ChargingCourse(evse.transaction_id, evse.session.started_utc)
        if course is None:
            return
        if evse.transaction_id is not None and evse.id_token is not None:
            course.lasts_until(self.context.time.utc(now))
        if evse.transaction_id is not None and evse.reading is not None:
            course.take(evse.reading, evse.reading_mono)

    def _model(self, screen: int, evse: Evse, now: float) -> PageModel:
        registration = self.context.registration
        offline = None
        if not registration.online:
            why = registration.why_offline
            offline = Offline.UNKNOWN if why is None else why.cause.for_driver
        return msgspec.structs.replace(
            self._page(screen, evse, now),
            evse=evse.evse,
            connector=self._plugs.get(evse.evse, ""),
            offline=offline,
            others=self._others(evse),
        )

    def _page(self, screen: int, evse: Evse, now: float) -> PageModel:
        refused = self._refused.get(screen)
        if refused is not None:
            if now < refused[1]:
                return PageModel(page=Page.REJECTED, reason=refused[0])
            del self._refused[screen]
        hal = self.context.hal
        if evse.flow is EnergyFlow.UNANSWERED and evse.id_token is not None:
            return PageModel(page=Page.PLUG_IN_AGAIN)
        if evse.transaction_id is not None and evse.started_by is not None:
            return self._session(evse)
        if hal.is_faulted(evse):
            return _faulted(evse, hal.faults_of(evse))
        if evse.out_of_service is not None:
            return PageModel(
                page=Page.UNAVAILABLE,
                out_of_service=evse.out_of_service,
                since=self._local(evse.out_of_service_since),
            )
        if evse.authorising:
            return PageModel(page=Page.AUTHORISING)
        if evse.id_token is not None:
            return PageModel(page=Page.AUTHORISED, step=_step(evse)) if evse.plugged else PageModel(page=Page.PLUG_IN)
        if evse.plugged and evse.phase in _WOUND_UP and hal.selected != evse.evse:
            return self._finished(evse)  # until the EV driver unplugs, or touches it for another session
        if not self.context.registration.online and not self._serves_offline():
            return PageModel(page=Page.OFFLINE)
        if evse.plugged or hal.selected == evse.evse:
            return PageModel(page=Page.SELECT)
        return PageModel(page=Page.IDLE)

    def _serves_offline(self) -> bool:
        """Whether some card is accepted without the CSMS (C12, C15)."""
        model = self.context.model
        known = self.context.product.features.auth_cache and model.find(keys.LOCAL_AUTHORIZE_OFFLINE)
        return bool(known or model.find(keys.OFFLINE_TX_FOR_UNKNOWN_ID_ENABLED))

    def _session(self, evse: Evse) -> PageModel:
        if evse.stopping or evse.id_token is None:  # stopped; the transaction may stay open until the cable is out
            return self._figures(evse, Page.STOPPING) if evse.power_active else self._finished(evse)
        match evse.observed_charging_state:
            case "Idle":
                return PageModel(page=Page.PLUG_IN)
            case "Charging":
                return self._figures(evse, Page.CHARGING)
            case "SuspendedEV":
                return msgspec.structs.replace(self._figures(evse, Page.SUSPENDED), suspended_by=SuspendedBy.VEHICLE)
            case "SuspendedEVSE":
                return msgspec.structs.replace(self._figures(evse, Page.SUSPENDED), suspended_by=SuspendedBy.STATION)
            case _:
                return PageModel(page=Page.PREPARING, step=_step(evse))

    def _figures(self, evse: Evse, page: Page) -> PageModel:
        """Power, energy, state of charge and course of the session, as far as known."""
        reading, course = evse.reading, self._courses.get(evse.evse)
        delivered_wh = evse.delivered_wh
        model = PageModel(
            page=page,
            power_kw=None if reading is None else round(reading.power_w / 1000, 1),
            energy_kwh=None if delivered_wh is None else round(max(0.0, delivered_wh) / 1000, 2),
            soc_percent=None if reading is None or reading.soc_percent is None else round(reading.soc_percent),
            offered_kw=None if reading is None else round(reading.offered_w / 1000, 1),
            shared_with=self._shared_with(evse),
        )
        if course is None:
            return model
        return msgspec.structs.replace(
            model,
            duration_s=course.duration_s,
            minutes_to_80=course.minutes_to_80() if page is Page.CHARGING else None,
            history_kw=course.history_kw,
            history_step_s=course.history_step_s,
            started=self._local(course.started_utc),
        )

    def _finished(self, evse: Evse) -> PageModel:
        """The receipt: of a session that is over, so that it does not change while the vehicle stays."""
        course = self._courses.get(evse.evse)
        model = self._figures(evse, Page.FINISHED)
        return msgspec.structs.replace(
            model,
            power_kw=None,
            offered_kw=None,
            shared_with=None,
            soc_percent=model.soc_percent if course is None else course.soc_percent,
            ended=None if course is None else self._local(course.ended_utc),
        )

    def _shared_with(self, evse: Evse) -> int | None:
        """The first other outlet that charges: the station's power is shared among all that do."""
        for other in self.context.hal.evses.values():
            if other is not evse and other.flow is EnergyFlow.FLOWING:
                return other.evse
        return None

    def _others(self, evse: Evse) -> tuple[Outlet, ...]:
        others = [other for other in self.context.hal.evses.values() if other is not evse]
        return tuple(self._outlet(other) for other in others[:MAX_OUTLETS])

    def _outlet(self, evse: Evse) -> Outlet:
        if evse.flow is EnergyFlow.FLOWING and evse.reading is not None:
            return Outlet(evse.evse, OutletState.CHARGING, round(evse.reading.power_w / 1000))
        if self.context.hal.is_faulted(evse):
            return Outlet(evse.evse, OutletState.FAULTED)
        if evse.is_taken or evse.plugged:
            return Outlet(evse.evse, OutletState.IN_USE)
        return Outlet(evse.evse, OutletState.FREE if evse.operative else OutletState.UNAVAILABLE)

    def _local(self, utc: float | None) -> str | None:
        """The station's local time, to the minute; None while the station's time is not known."""
        if utc is None or not self.context.time.is_known:
            return None
        zone = self.context.model.find(keys.TIME_ZONE)
        return datetime.fromtimestamp(utc, _time_zone(zone) if zone else UTC).strftime("%Y-%m-%dT%H:%M")


def _time_zone(name: str) -> tzinfo:
    """UTC if there is none of that name."""
    import zoneinfo  # half a MB with what it imports, and not needed until a page shows the time

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _inputs_of(evse: Evse) -> tuple[object, ...]:
    session = evse.session
    return (
        evse.reading_mono,
        evse.reading,
        evse.phase,
        evse.flow,
        evse.plugged,
        evse.authorising,
        evse.out_of_service,
        *evse.faults,
        session.id,
        session.id_token,
        session.authorised,
        session.stop is None,
        session.held_back,
        session.leased,
        session.begin_wh,
        session.former_wh,
    )


def _step(evse: Evse) -> Step:
    return _STEPS.get(evse.phase, Step.VEHICLE)


def _faulted(evse: Evse, faults: set[Fault]) -> PageModel:
    worst = worst_first(faults)
    if not worst:  # the HAL is away: nothing is shown
        return PageModel(page=Page.FAULTED)
    code = worst[0].mrec(evse.evse) or worst[0].value
    return PageModel(page=Page.FAULTED, faults=worst, code=code, advice=advice_of(worst[0]))
