// SPDX-License-Identifier: Apache-2.0
// The chosen station: its properties, and for each EVSE its status and its session.

import { Chart } from "/static/chart.js";
import { $, ago, el, facts, fixed, pill, secondsSince, span } from "/look/dom.js";

const TONE = { Available: "good", Occupied: "info", Reserved: "warn", Unavailable: "warn", Faulted: "bad" };
const REGISTRATION_TONE = { Accepted: "good", Pending: "warn", Rejected: "bad" };
const WIDE = new Set(["Security profile", "Certificate"]);
const charts = new Map();

export const sessionKey = (session) => `${session.station}\n${session.id}`;

export function renderTabs(state, choose) {
  const stations = [...state.stations.values()];
  const tabs = stations.map((station) =>
    el("button", { ariaPressed: String(station.id === state.chosen), onclick: () => choose(station.id) },
      el("span", { class: station.connected ? "dot on" : "dot" }), station.id));
  $("tabs").replaceChildren(...(stations.length > 1 ? tabs : []));
}

export function renderStation(state) {
  const station = state.stations.get(state.chosen);
  if (!station) {
    const address = el("code", { textContent: `${state.ocpp}/<identity>` });
    const text = "No station yet. Connect one, with subprotocol ocpp2.0.1 and any password, to ";
    $("station").replaceChildren(el("section", { class: "card idle" }, text, address));
    return;
  }
  const sessions = [...state.transactions.values()].filter((session) => session.station === station.id);
  $("station").replaceChildren(card(station), el("div", { class: "evses" }, ...evses(station, sessions, state)));
}

function card(station) {
  const boot = station.boot ?? {};
  const shown = {
    Product: [boot.vendorName, boot.model].filter(Boolean).join(" ") || "–",
    Serial: boot.serialNumber ?? "–",
    Firmware: boot.firmwareVersion ?? "–",
    ...progress("Firmware update", station.firmware_status),
    ...progress("Log upload", station.log_status),
    "Last boot": station.boot_reason ?? "not seen",
    Address: station.remote ?? "–",
    [station.connected ? "Connected" : "Disconnected"]: ago(station.connected ? station.connected_since : station.disconnected_since),
    "Last message": ago(station.last_seen),
    "Security profile": [station.security_profile ?? "–", station.tls?.version, station.tls?.cipher].filter(Boolean).join(" · "),
    ...certificate(station.tls?.certificate),
  };
  const pills = [pill(station.connected ? "connected" : "offline", station.connected ? "good" : "bad")];
  if (station.registration) pills.push(pill(station.registration, REGISTRATION_TONE[station.registration]));
  const head = el("div", { class: "station-head" }, el("h1", { textContent: station.id }), ...pills);
  return el("section", { class: "card" }, head, facts(shown, WIDE), ...notices(station));
}

function progress(name, status) {
  const tone = /Fail|Invalid|Denied|Error|Bad|Rejected/i.test(status) ? "bad" : /^(Installed|Uploaded)$/.test(status) ? "good" : "info";
  return status ? { [name]: pill(status, tone) } : {};
}

function certificate(shown) {
  if (!shown) return {};
  const number = shown.serial_number.slice(0, 8).toLowerCase();
  return { Certificate: `${shown.common_name}, ${shown.organization} · number ${number}… · until ${shown.not_after.slice(0, 10)}` };
}

function notices(station) {
  const texts = [];
  const times = (count) => (count === 1 ? "once" : `${count} times`);
  if (station.replaced) texts.push(`A second connection with this identity replaced the first ${times(station.replaced)}: two stations with the same identity, or a half-open connection.`);
  if (station.malformed) texts.push(`${station.malformed} malformed ${station.malformed === 1 ? "frame" : "frames"} received: see the messages.`);
  return texts.map((text) => el("div", { class: "notice", textContent: text }));
}

function evses(station, sessions, state) {
  const known = new Map();
  for (const connector of station.connectors) known.set(connector.evse, { connector, session: null });
  for (const session of sessions) {
    if (session.evse === null) continue;
    const evse = known.get(session.evse) ?? { connector: null, session: null };
    const newer = !evse.session || (session.active && !evse.session.active) || (session.active === evse.session.active && session.started > evse.session.started);
    known.set(session.evse, { ...evse, session: newer ? session : evse.session });
  }
  return [...known.entries()].sort((a, b) => a[0] - b[0]).map(([number, evse]) => evseCard(number, evse, state));
}

function evseCard(number, { connector, session }, state) {
  const status = connector?.status ?? "Unknown";
  const title = el("b", {}, `EVSE ${number} `, el("span", { class: "muted", textContent: connector ? `connector ${connector.connector}` : "" }));
  const head = el("div", { class: "evse-head" }, title, pill(status, TONE[status]));
  if (!session) {
    const meter = connector?.meter?.energy_wh;
    const idle = meter === null || meter === undefined ? "No session yet" : `No session yet · meter ${fixed(meter / 1000, 3)} kWh`;
    return el("section", { class: "card" }, head, el("div", { class: "idle", textContent: idle }));
  }
  const chart = charts.get(sessionKey(session)) ?? new Chart();
  charts.set(sessionKey(session), chart);
  chart.update(state.series.get(sessionKey(session)) ?? [], session.started);
  return el("section", { class: "card" }, head, figures(session), chart.node, details(session));
}

function figures(session) {
  const kw = session.power_w === null ? null : session.power_w / 1000;
  const seconds = session.ended ? (Date.parse(session.ended) - Date.parse(session.started)) / 1000 : secondsSince(session.started);
  const shown = [
    ["power", session.active ? fixed(kw, 1) : fixed(session.max_power_w === null ? null : session.max_power_w / 1000, 1), "kW", session.active ? "power" : "peak power"],
    ["soc", fixed(session.soc_percent, 0), "%", session.soc_start_percent === null ? "charge" : `from ${fixed(session.soc_start_percent, 0)} %`],
    ["", fixed(session.energy_wh === null ? null : session.energy_wh / 1000, 2), "kWh", "energy"],
    ["", Number.isFinite(seconds) ? span(seconds) : "–", "", session.active ? "since start" : "duration"],
  ];
  return el("div", { class: "figures" }, ...shown.map(([name, value, unit, label]) =>
    el("div", { class: name }, el("b", {}, value, el("i", { textContent: unit })), el("span", { textContent: label }))));
}

function details(session) {
  const state = session.active ? session.charging_state ?? "started" : `ended: ${session.stopped_reason ?? "?"}`;
  const tone = session.active ? (session.charging_state === "Charging" ? "good" : "info") : "";
  return el("div", { class: "session" }, pill(state, tone), sequencePill(session),
    el("span", {}, "token ", el("code", { textContent: session.id_token ?? "none" })),
    el("span", { title: session.id }, "id ", el("code", { textContent: session.id.length > 14 ? `${session.id.slice(0, 13)}…` : session.id })));
}

export function sequencePill(session) {
  const again = session.repeated ? `, ${session.repeated} repeated` : "";
  const text = session.seq_ok ? `${session.events} events${again}` : session.problems.join("; ");
  const node = pill(text, session.seq_ok ? "" : "bad");
  node.title = session.seq_ok ? "sequence numbers complete and in order" : "errors in the sequence of events";
  return node;
}

export function forgetCharts(keep) {
  for (const key of charts.keys()) if (!keep.has(key)) charts.delete(key);
}
