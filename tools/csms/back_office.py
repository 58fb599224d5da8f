# SPDX-License-Identifier: Apache-2.0
"""The back office: the state of its stations, and the decisions about them.

Rules: a transaction event is on disk before it is answered (`saved`); a message that can't be written to the log is
handled all the same; the newest connection of an identity is the station's. Nothing that one message costs grows with
the number of stations, transactions or messages.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

from firmware.clock import Clock, format_utc
from firmware.errors import StorageError
from tools.csms.commits import Commits
from tools.csms.device_model import DeviceModels
from tools.csms.faults import apply_events
from tools.csms.feed import Feed
from tools.csms.known_certificates import KnownCertificates, split_chain
from tools.csms.metering import Point, points_of
from tools.csms.settings import Behaviour
from tools.csms.store import MessageRow, Store, StoredEvent, Token
from tools.csms.tls import TlsSession
from tools.csms.transaction_audit import TransactionAudit, TransactionSummary, Verdict, series
from tools.csms.views import ConnectorRecord, StationLine, StationRecord, shortened

__all__ = ["BackOffice", "Link"]

_log = logging.getLogger(__name__)
_MAX_CONNECTORS = 64
_MAX_AUDITS = 1000
_SHOWN_TEXT = 20_000


class Link(Protocol):
    """A connection, as the back office sees it."""

    async def close(self, code: int, reason: str) -> None:
        """Ends the connection."""


class BackOffice:
    """One object on one event loop; no method waits."""

    def __init__(self, store: Store, feed: Feed, clock: Clock, behaviour: Behaviour) -> None:
        self._store = store
        self._feed = feed
        self._clock = clock
        self.behaviour = behaviour
        self._links: dict[str, Link] = {}
        self._audits: dict[tuple[str, str], TransactionAudit] = {}
        self._stations: dict[str, StationRecord] = {}
        for data in store.stations():
            record = msgspec.json.decode(data, type=StationRecord)
            record.connected = False
            self._stations[record.id] = record
        self._lines: dict[str, StationLine] = {}
        """As they were last published."""
        self._unsaved: set[str] = set()
        """Stations that have changed since the last commit."""
        self._transactions: dict[tuple[str, str], TransactionSummary] = {}
        self._active: dict[str, dict[str, TransactionSummary]] = {}
        self._load_transactions()
        self._commits: Commits | None = None
        self.models = DeviceModels()
        self.certificates = KnownCertificates(store.certificates())

    def group_commits(self) -> None:
        """From now on the database is committed for many messages at once; `Store(grouped=True)`. Needs a loop."""
        self._commits = Commits(self._commit, self._on_loss)

    async def saved(self) -> None:
        """Returns when what has been handled is on disk. Raises `StorageError`."""
        if self._commits is not None:
            await self._commits.done()

    def close(self) -> None:
        """Saves what is left; the store stays open."""
        if self._commits is not None:
            self._commits.now()

    def _commit(self) -> None:
        unsaved, self._unsaved = self._unsaved, set()
        for station in unsaved:
            self._put_station(station)
        self._store.commit()

    def _on_loss(self) -> None:
        """What the disk has not taken must not count: a station will repeat it."""
        self._audits.clear()
        self._load_transactions()

    def _load_transactions(self) -> None:
        self._transactions.clear()
        self._active.clear()
        for data in self._store.transactions():
            self._remember(msgspec.json.decode(data, type=TransactionSummary))

    def now(self) -> str:
        """The present time as RFC 3339 text."""
        return format_utc(self._clock.utc())

    # Stations and their connections

    def stations(self) -> list[StationRecord]:
        return sorted(self._stations.values(), key=lambda record: record.id)

    def station(self, station: str) -> StationRecord | None:
        return self._stations.get(station)

    def line(self, record: StationRecord) -> StationLine:
        """The station in the list of all."""
        statuses = sorted({connector.status for connector in record.connectors})
        charging = len(self._active.get(record.id, ()))
        return StationLine(record.id, record.connected, record.registration, statuses, len(record.faults), charging)

    def link(self, station: str) -> Link | None:
        return self._links.get(station)

    def links(self) -> list[Link]:
        return list(self._links.values())

    def attach(
        self, station: str, link: Link, *, remote: str, security_profile: int, tls: TlsSession | None = None
    ) -> Link | None:
        """A station has connected. Returns the older connection that this one replaces; the caller closes it."""
        old = self._links.get(station)
        self._links[station] = link
        record = self._known(station)
        record.connected, record.connected_since, record.disconnected_since = True, self.now(), None
        before = record.security_profile or 0
        record.remote, record.security_profile, record.tls = remote, security_profile, tls
        record.connections += 1
        record.replaced += old is not None
        how = "connected, replacing an older connection that was still open" if old else "connected"
        # A05.FR.07 forbids a lower profile; here it is only noted, for tests. `--security-profile` refuses it.
        lower = f", which is less than {before}, its last one" if security_profile < before else ""
        secured = f" ({tls.version}, {tls.cipher})" if tls else ""
        self.note(station, f"{how}, from {remote}, security profile {security_profile}{secured}{lower}")
        self._changed(record)
        return old

    def _known(self, station: str) -> StationRecord:
        if station not in self._stations and len(self._stations) >= self._store.limits.stations:
            absent = (record.id for record in self._stations.values() if not record.connected)
            gone = next(absent, "")
            self._stations.pop(gone, None)
            self._lines.pop(gone, None)
        return self._stations.setdefault(station, StationRecord(station))

    def detach(self, station: str, link: Link, why: str) -> None:
        """A connection has ended; if another has replaced it, the station stays connected."""
        if self._links.get(station) is not link:
            self.note(station, f"the replaced connection is closed: {why}")
            return
        del self._links[station]
        record = self._stations[station]
        record.connected, record.disconnected_since = False, self.now()
        self.note(station, f"disconnected: {why}")
        self._changed(record)

    def _changed(self, record: StationRecord) -> None:
        if self._commits is None:
            self._put_station(record.id)
        else:
            self._unsaved.add(record.id)
            self._commits.soon()
        self._feed.publish("station", record, station=record.id)
        self._publish_line(record)

    def _publish_line(self, record: StationRecord) -> None:
        line = self.line(record)
        if self._lines.get(record.id) != line:
            self._lines[record.id] = line
            self._feed.publish("line", line)

    def _put_station(self, station: str) -> None:
        record = self._stations.get(station)
        if record is None:
            return
        try:
            self._store.put_station(station, msgspec.json.encode(record))
        except StorageError as error:
            _log.error("station %s could not be saved: %s", station, error)

    # The log of messages

    def journal(
        self,
        station: str,
        direction: Literal["in", "out"],
        kind: str,
        *,
        text: str,
        action: str | None = None,
        message_id: str | None = None,
        problem: str | None = None,
        took_ms: float | None = None,
    ) -> None:
        """Stores a message as it was on the wire, and publishes it."""
        now = self.now()
        if direction == "in" and kind != "link":
            record = self._stations[station]
            record.last_seen = now
            record.received += 1
            record.malformed += kind == "malformed"
        row = MessageRow(0, now, station, direction, kind, action, message_id, text, problem, took_ms)
        try:
            row = self._store.add_message(row)
        except StorageError as error:
            _log.error("a message of %s could not be saved: %s", station, error)
        if self._commits is not None:
            self._commits.soon()
        self._feed.publish("message", shortened(row, _SHOWN_TEXT), station=station)

    def note(self, station: str, text: str) -> None:
        """Adds a line to the log of messages that is not a message."""
        _log.info("%s: %s", station, text)
        self.journal(station, "in", "link", text=text)

    def messages(
        self, station: str | None, after: int | None, *, before: int | None = None, limit: int = 200
    ) -> list[MessageRow]:
        return self._store.messages(station, after, before=before, limit=limit)

    def message(self, number: int) -> MessageRow | None:
        return self._store.message(number)

    # Requests of stations

    def on_boot(self, station: str, request: Mapping[str, Any]) -> Behaviour:
        """BootNotification (B01); returns the behaviour that decides the answer."""
        record = self._stations[station]
        record.boots += 1
        record.boot = dict(request["chargingStation"])
        record.boot_reason = request["reason"]
        record.registration = self.behaviour.boot_status
        self._changed(record)
        return self.behaviour

    def on_status(self, station: str, request: Mapping[str, Any]) -> None:
        """StatusNotification (G01)."""
        found = self._connector(station, request["evseId"], request["connectorId"])
        if found is not None:
            found.status, found.since = request["connectorStatus"], request["timestamp"]
            self._changed(self._stations[station])

    def on_events(self, station: str, request: Mapping[str, Any]) -> None:
        """NotifyEvent (N07): faults; a connector's AvailabilityState may be reported in this way, too (G01)."""
        self._publish_variables(station, self.models.on_events(station, request["eventData"]))
        record = self._stations[station]
        faults = apply_events(record.faults, request["eventData"])
        if faults != record.faults:
            record.faults = faults
            self._changed(record)
        for event in request["eventData"]:
            evse = event["component"].get("evse", {})
            named = event["component"]["name"] == "Connector" and event["variable"]["name"] == "AvailabilityState"
            if named and "id" in evse and "connectorId" in evse:
                place = {"evseId": evse["id"], "connectorId": evse["connectorId"]}
                status = {"connectorStatus": event["actualValue"], "timestamp": event["timestamp"]}
                self.on_status(station, place | status)

    def on_progress(self, station: str, kind: Literal["firmware_status", "log_status"], status: str) -> None:
        """FirmwareStatusNotification (L01) and LogStatusNotification (N01)."""
        setattr(self._stations[station], kind, status)
        self._changed(self._stations[station])

    def on_meter_values(self, station: str, request: Mapping[str, Any]) -> None:
        """MeterValues outside a transaction (J01): the last reading is shown at each connector of the EVSE."""
        points = points_of(request["meterValue"])
        for connector in self._stations[station].connectors:
            if points and connector.evse == request["evseId"]:
                connector.meter = points[-1]
        self._changed(self._stations[station])

    def _connector(self, station: str, evse: int, connector: int) -> ConnectorRecord | None:
        connectors = self._stations[station].connectors
        for known in connectors:
            if (known.evse, known.connector) == (evse, connector):
                return known
        if len(connectors) >= _MAX_CONNECTORS:
            return None
        connectors.append(ConnectorRecord(evse, connector, "Unknown", self.now()))
        connectors.sort(key=lambda known: (known.evse, known.connector))
        return next(known for known in connectors if (known.evse, known.connector) == (evse, connector))

    # The device model, and certificates

    def on_report(self, station: str, request: Mapping[str, Any]) -> None:
        """NotifyReport (B07, B08)."""
        self._feed.publish("report", self.models.on_report(station, request), station=station)

    def on_monitoring_report(self, station: str, request: Mapping[str, Any]) -> None:
        """NotifyMonitoringReport (N02)."""
        self._publish_variables(station, self.models.on_monitoring_report(station, request))

    def on_request(self, station: str, action: str, payload: Mapping[str, Any]) -> None:
        """A request is about to be sent to the station."""
        self.models.on_request(station, action, payload)

    def on_answer(self, station: str, action: str, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """The station has answered a request of ours; both are as their schemas say."""
        self._publish_variables(station, self.models.on_answer(station, action, request, answer))
        if action == "InstallCertificate" and answer["status"] == "Accepted":
            self.know_certificates(request["certificate"])

    def know_certificates(self, *chains: str) -> None:
        """To recognise them later by their hashes."""
        for pem in (pem for chain in chains for pem in split_chain(chain)):
            self.certificates.add(pem)
            try:
                self._store.put_certificate(pem)
            except StorageError as error:
                _log.error("a certificate could not be saved: %s", error)
        if self._commits is not None:
            self._commits.soon()

    def _publish_variables(self, station: str, changed: list[dict[str, Any]]) -> None:
        if changed:
            self._feed.publish("variables", changed, station=station)

    # Tokens

    def authorize(self, id_token: Mapping[str, Any]) -> Token:
        """The token with its status (C01). `NoAuthorization` is always accepted (C02.FR.02 on the station's side)."""
        known = self._store.token(id_token["idToken"])
        if known is not None:
            return known
        free = self.behaviour.accept_unknown or id_token["type"] == "NoAuthorization"
        return Token(id_token["idToken"], id_token["type"], "Accepted" if free else "Invalid")

    def tokens(self) -> list[Token]:
        return self._store.tokens()

    def put_token(self, token: Token) -> Token:
        token = self._store.put_token(token)
        self._feed.publish("token", token)
        return token

    def delete_token(self, id_token: str) -> bool:
        found = self._store.delete_token(id_token)
        self._feed.publish("token", {"id_token": id_token.upper(), "status": None})
        return found

    def set_behaviour(self, behaviour: Behaviour) -> None:
        """Applies from the next request on; a station keeps its registration until it boots again."""
        self.behaviour = behaviour
        self._feed.publish("behaviour", behaviour)

    # Transactions

    def transactions(self) -> list[TransactionSummary]:
        """The newest first."""
        return list(self._transactions.values())[::-1]

    def transaction(self, station: str, transaction_id: str) -> TransactionSummary | None:
        return self._transactions.get((station, transaction_id))

    def active_transactions(self, station: str) -> list[TransactionSummary]:
        """The newest first."""
        return list(self._active.get(station, {}).values())[::-1]

    def series(self, station: str, transaction_id: str) -> list[Point] | None:
        """The measured points of a transaction, or None if it is unknown."""
        if (station, transaction_id) not in self._transactions:
            return None
        return series(msgspec.json.decode(event.payload) for event in self.events(station, transaction_id))

    def events(self, station: str, transaction_id: str) -> list[StoredEvent]:
        return self._store.events(station, transaction_id)

    def on_transaction_event(self, station: str, request: Mapping[str, Any]) -> Verdict:
        """TransactionEvent (E): repetitions are not counted twice. On `StorageError` it must not be answered."""
        transaction_id: str = request["transactionInfo"]["transactionId"]
        audit = self._audit(station, transaction_id)
        verdict = audit.add(request)
        try:
            self._keep_event(station, transaction_id, request, verdict)
        except StorageError:
            del self._audits[station, transaction_id]
            raise
        summary = audit.summary()
        self._store.put_transaction(station, transaction_id, msgspec.json.encode(summary))
        self._remember(summary)
        points = points_of(request.get("meterValue", ())) if verdict is Verdict.NEW else []
        self._feed.publish("transaction", {"transaction": summary, "points": points}, station=station)
        if station in self._stations:
            self._publish_line(self._stations[station])
        return verdict

    def _keep_event(self, station: str, transaction_id: str, request: Mapping[str, Any], verdict: Verdict) -> None:
        seq_no: int = request["seqNo"]
        if verdict is Verdict.NEW:
            payload = msgspec.Raw(msgspec.json.encode(request))
            self._store.add_event(station, transaction_id, StoredEvent(seq_no, self.now(), payload, 0, 0))
        else:
            conflict = verdict is Verdict.CONFLICT
            self._store.count_event_again(station, transaction_id, seq_no, conflict=conflict)
            if conflict:
                self.note(station, f"transaction {transaction_id}: seqNo {seq_no} came again with other content")

    def _remember(self, summary: TransactionSummary) -> None:
        self._transactions[summary.station, summary.id] = summary
        if summary.active:
            self._active.setdefault(summary.station, {})[summary.id] = summary
        else:
            self._forget_active(summary.station, summary.id)
        while len(self._transactions) > self._store.limits.transactions:
            oldest = next(iter(self._transactions))
            del self._transactions[oldest]
            self._forget_active(*oldest)

    def _forget_active(self, station: str, transaction_id: str) -> None:
        active = self._active.get(station, {})
        active.pop(transaction_id, None)
        if not active:
            self._active.pop(station, None)

    def _audit(self, station: str, transaction_id: str) -> TransactionAudit:
        key = (station, transaction_id)
        audit = self._audits.pop(key, None) or self._replayed(station, transaction_id)
        self._audits[key] = audit
        while len(self._audits) > _MAX_AUDITS:
            del self._audits[next(iter(self._audits))]
        return audit

    def _replayed(self, station: str, transaction_id: str) -> TransactionAudit:
        audit = TransactionAudit(station, transaction_id)
        for event in self._store.events(station, transaction_id):
            audit.add(msgspec.json.decode(event.payload))
            audit.count_again(event.repeated, [event.seq_no] * event.conflicts)
        return audit
