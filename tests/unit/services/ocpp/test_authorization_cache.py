# SPDX-License-Identifier: Apache-2.0
"""C10 to C12 and C15 through the whole station, with the product that has a cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc
from services.ocpp.authorization_cache import AuthorizationCache, Entry
from services.ocpp.device_model import keys
from services.ocpp.messages import IdTokenType
from services.ocpp.storage.tables import CacheTable
from tests.support.station_bench import StationBench, set_variables

CARD, OTHER = "04A1B2C3D4E580", "DEADBEEF"
PRE = {("AuthCtrlr", "LocalPreAuthorize"): "true"}


def full(path: Path, variables: dict[tuple[str, str], str] | None = None) -> StationBench:
    bench = StationBench(path, product_name="full", variables=variables)
    bench.up()
    return bench


def known(bench: StationBench, **info: Any) -> None:
    """CARD starts and stops a session; the CSMS's information about it is `info`."""
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", **info}}
    bench.card(CARD, 1)
    bench.card(CARD, 1)
    bench.advance(1)


def test_a_known_card_starts_without_asking(tmp_path: Path) -> None:
    bench = full(tmp_path, PRE)
    known(bench)
    asked = len(bench.sent("Authorize"))
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == asked  # C12.FR.02
    assert bench.events[-1]["eventType"] == "Started"


def test_without_pre_authorisation_the_csms_is_asked_all_the_same(tmp_path: Path) -> None:
    bench = full(tmp_path, {("AuthCtrlr", "LocalPreAuthorize"): "false"})
    known(bench)
    asked = len(bench.sent("Authorize"))
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == asked + 1


def test_a_refused_card_is_checked_again(tmp_path: Path) -> None:
    bench = full(tmp_path, PRE)
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.card(CARD, 1)
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == 2  # C10.FR.03, C12.FR.05
    assert len(CacheTable(bench.database).load()) == 1  # C10.FR.01: kept, whatever its status; C10.FR.04


def test_a_refused_card_is_refused_here_if_configured(tmp_path: Path) -> None:
    bench = full(tmp_path, PRE | {("AuthCacheCtrlr", "DisablePostAuthorize"): "true"})
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.card(CARD, 1)
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == 1
    assert bench.events == []


def test_a_refused_card_is_refused_here_although_accepted_ones_are_checked(tmp_path: Path) -> None:
    bench = full(tmp_path, {("AuthCacheCtrlr", "DisablePostAuthorize"): "true"})  # LocalPreAuthorize: false
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.card(CARD, 1)
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == 1  # C10.FR.03, C12.FR.05; part 2, 2.4.6


def test_the_cache_alone_decides_when_the_csms_must_not_be_asked(tmp_path: Path) -> None:
    bench = full(tmp_path)
    known(bench)
    bench.call("SetVariables", set_variables("AuthCtrlr", "DisableRemoteAuthorization", "true"))
    asked, made = len(bench.sent("Authorize")), len(bench.events)
    bench.card(OTHER, 2)  # unknown
    assert len(bench.events) == made
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Started"  # part 2, 2.3.8
    assert len(bench.sent("Authorize")) == asked


def test_a_known_card_charges_offline(tmp_path: Path) -> None:
    bench = full(tmp_path, {("AuthCtrlr", "LocalAuthorizeOffline"): "true"})
    known(bench)
    bench.link_down()
    bench.card(CARD, 1)
    bench.link_up()
    assert bench.events[-1]["eventType"] == "Started"
    assert bench.events[-1]["offline"] is True


@pytest.mark.parametrize(("setting", "events"), [("true", 1), ("false", 0)])
def test_an_unknown_card_offline(tmp_path: Path, setting: str, events: int) -> None:
    bench = full(tmp_path, {("AuthCtrlr", "OfflineTxForUnknownIdEnabled"): setting})
    bench.link_down()
    bench.card(OTHER, 1)
    bench.link_up()
    assert len(bench.events) == events  # C15.FR.08


def test_a_card_accepted_unchecked_is_not_cached(tmp_path: Path) -> None:
    bench = full(tmp_path, {("AuthCtrlr", "OfflineTxForUnknownIdEnabled"): "true"})
    bench.link_down()
    bench.card(OTHER, 1)
    assert CacheTable(bench.database).load() == {}  # C15.FR.01


def test_information_about_a_central_token_is_not_cached(tmp_path: Path) -> None:
    bench = full(tmp_path)
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "Accepted"}}
    token = {"idToken": "FLEET", "type": "Central"}
    bench.call("RequestStartTransaction", {"idToken": token, "remoteStartId": 1, "evseId": 1})
    assert bench.events[0]["idToken"] == token
    assert CacheTable(bench.database).load() == {}  # C05.FR.02


def test_messages_to_the_driver_are_not_cached(tmp_path: Path) -> None:
    bench = full(tmp_path)
    known(bench, personalMessage={"format": "UTF8", "content": "0.40 a kWh"})
    (entry,) = CacheTable(bench.database).load().values()
    assert "personalMessage" not in entry.info  # C10.FR.09


def test_the_answer_to_an_event_updates_the_cache(tmp_path: Path) -> None:
    bench = full(tmp_path, PRE)
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": "Invalid"}} if "idToken" in request else {}
    )
    bench.card(CARD, 1)
    assert bench.events[-1]["triggerReason"] == "Deauthorized"
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == 2  # C10.FR.05: no longer Accepted here


def test_the_cache_survives_a_power_cut_and_can_be_cleared(tmp_path: Path) -> None:
    bench = full(tmp_path, PRE)
    known(bench)
    bench.power_cut()
    bench.up()
    asked = len(bench.sent("Authorize"))
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == asked  # C10.FR.02
    bench.card(CARD, 1)
    assert bench.call("ClearCache", {}) == {"status": "Accepted"}  # C11.FR.03
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == asked + 1


def test_a_disabled_or_missing_cache_is_not_cleared(tmp_path: Path) -> None:
    disabled = full(tmp_path / "a", {("AuthCacheCtrlr", "Enabled"): "false"})
    assert disabled.call("ClearCache", {}) == {"status": "Rejected"}  # C11.FR.04, C10.FR.11
    missing = StationBench(tmp_path / "b")
    missing.up()
    assert missing.call("ClearCache", {}) == {"status": "Rejected"}


def test_entries_expire(tmp_path: Path) -> None:
    bench = full(tmp_path, PRE)
    known(bench, cacheExpiryDateTime=format_utc(bench.clock.utc() + 100))
    bench.advance(50)
    asked = len(bench.sent("Authorize"))
    bench.card(CARD, 1)
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == asked
    bench.advance(60)
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == asked + 1  # C10.FR.10, C10.FR.13


@pytest.mark.parametrize("life_time", [0, 100])
def test_entries_live_as_long_as_configured(tmp_path: Path, life_time: int) -> None:
    bench = full(tmp_path, PRE | {("AuthCacheCtrlr", "LifeTime"): str(life_time)})
    known(bench)
    bench.advance(life_time)
    asked = len(bench.sent("Authorize"))
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == asked + 1  # C10.FR.10


def test_a_group_member_that_is_known_stops_without_asking(tmp_path: Path) -> None:
    group = {"groupIdToken": {"idToken": "FLEET", "type": "Central"}}
    bench = full(tmp_path, PRE)
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", **group}}
    bench.card(OTHER, 1)
    bench.card(OTHER, 1)
    bench.card(CARD, 1)
    asked = len(bench.sent("Authorize"))
    bench.card(OTHER, 1)
    assert len(bench.sent("Authorize")) == asked  # C09.FR.07
    assert bench.events[-1]["eventType"] == "Ended"


def test_no_token_is_readable_in_the_database(tmp_path: Path) -> None:
    bench = full(tmp_path)
    known(bench)
    names = [row[0] for row in bench.database.read("SELECT token FROM auth_cache")]
    assert len(names) == 1
    assert CARD not in names[0]  # C10.FR.12


def test_room_is_made_by_dropping_refused_and_then_old_entries(tmp_path: Path) -> None:
    bench = full(tmp_path)
    size = Entry({"status": "Accepted"}, 0.0, 0.0).size
    cache = AuthorizationCache(CacheTable(bench.database), bench.context.model, bench.context.time, most=2 * size)
    tokens: list[IdTokenType] = [{"idToken": name, "type": "ISO14443"} for name in ("R", "1", "2", "3")]
    refused, first, second, third = tokens
    now = bench.clock.monotonic()
    cache.learn(first, {"status": "Accepted"}, now)
    cache.learn(refused, {"status": "Blocked"}, now + 1)
    cache.learn(second, {"status": "Accepted"}, now + 2)
    assert cache.find(refused, now + 3) is None
    cache.find(first, now + 4)
    cache.learn(third, {"status": "Accepted"}, now + 5)
    # C10.FR.07
    assert cache.find(second, now + 6) is None
    assert cache.find(first, now + 6) is not None


def test_storage_is_reported_in_bytes_and_bounded(tmp_path: Path) -> None:
    bench = full(tmp_path)
    cache, table = bench.context.authorization_cache, CacheTable(bench.database)
    more = {"additionalIdToken": "x" * 36, "type": "fleet"}
    verbose: Any = {
        "status": "Accepted",
        "groupIdToken": {"idToken": "G", "type": "Central", "additionalInfo": [more] * 100},
    }
    for number in range(300):
        token: Any = {"idToken": f"{number:X}", "type": "ISO14443"}
        cache.learn(token, verbose, bench.clock.monotonic())
        cache.learn(token, verbose, bench.clock.monotonic())
    entries = table.load()
    stored = sum(entry.size for entry in entries.values())
    assert bench.context.model.get(keys.AUTH_CACHE_STORAGE) == stored  # part 2, 2.4.4
    assert 1_000_000 - Entry(verbose, 0.0, 0.0).size < stored <= 1_000_000  # C10.FR.07
    cache.clear()
    assert bench.context.model.get(keys.AUTH_CACHE_STORAGE) == 0
    cache.learn({"idToken": "1", "type": "ISO14443"}, verbose | {"language1": "x" * 1_000_000}, 0.0)
    assert table.load() == {}


def test_nothing_expires_while_the_time_is_unknown(tmp_path: Path) -> None:
    bench = full(tmp_path)
    cache, time = bench.context.authorization_cache, bench.context.time
    token: Any = {"idToken": CARD, "type": "ISO14443"}
    cache.learn(token, {"status": "Accepted", "cacheExpiryDateTime": "2026-11-02T00:00:00Z"}, 0.0)
    table = CacheTable(bench.database)
    assert table.load() == {}  # it has expired already
    for source in ("Heartbeat", "RealTimeClock"):
        time.forget(source)
    cache.learn(token, {"status": "Accepted", "cacheExpiryDateTime": "2026-11-02T00:00:00Z"}, 0.0)
    assert isinstance(next(iter(table.load().values())), Entry)
    assert cache.find(token, 0.0) is not None
