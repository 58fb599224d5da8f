// SPDX-License-Identifier: Apache-2.0
// One EVSE: its status and faults, its session with figures and chart, and what the operator can do with it.

import { el, fixed, pill, secondsSince, span } from "../look/dom.js";
import { Chart } from "./chart.js";
import { faultList } from "./faults.js";
import { ask, newId, Operation, Outcome, whyMute } from "./operations.js";
import { sequencePill } from "./transactions.js";

const TONE = { Available: "good", Occupied: "info", Reserved: "warn", Unavailable: "warn", Faulted: "bad" };

// The EVSEs of a station: from its connectors, and from its sessions, of which the running one or the last is shown.
export function evsesOf(station, sessions) {
  const known = new Map();
  for (const connector of station.connectors) known.set(connector.evse, { connector, session: null });
  for (const session of sessions) {
    if (session.evse === null) continue;
    const evse = known.get(session.evse) ?? { connector: null, session: null };
    const newer = !evse.session || (session.active && !evse.session.active) || (session.active === evse.session.active && session.started > evse.session.started);
    known.set(session.evse, { ...evse, session: newer ? session : evse.session });
  }
  return [...known.entries()].sort((a, b) => a[0] - b[0]);
}

// Its nodes stay, so that a button keeps the focus while the texts change.
export class EvseCard {
  constructor(number, state) {
    Object.assign(this, { number, state, session: null, connector: null, chart: null, chartOf: null });
    this.head = el("div", { class: "evse-head" });
    this.faults = el("div");
    this.body = el("div");
    this.tokens = el("select", { "aria-label": `Token for EVSE ${number}` });
    const outcome = new Outcome();
    const make = (name, act) => new Operation(name, `${name}, EVSE ${number}`, outcome, act);
    this.start = make("Start", () => this.askStart());
    this.stop = make("Stop", () => ask(state.chosen, "RequestStopTransaction", { transactionId: this.session.id }));
    this.unlock = make("Unlock", () => ask(state.chosen, "UnlockConnector", { evseId: number, connectorId: this.connector?.connector ?? 1 }));
    const available = (operationalStatus) => () => ask(state.chosen, "ChangeAvailability", { operationalStatus, evse: { id: number } });
    this.out = make("Take out of service", available("Inoperative"));
    this.back = make("Put into service", available("Operative"));
    const buttons = el("div", { class: "row operations" }, el("span", { class: "pair" }, this.tokens, this.start.node),
      this.stop.node, this.unlock.node, this.out.node, this.back.node);
    this.node = el("section", { class: "card", "aria-label": `EVSE ${number}` }, this.head, this.faults, this.body, buttons, outcome.node);
    this.node.dataset.evse = number;
  }

  askStart() {
    const token = this.state.tokens.find((each) => each.id_token === this.tokens.value);
    const idToken = { idToken: token.id_token, type: token.type };
    return ask(this.state.chosen, "RequestStartTransaction", { remoteStartId: newId(), evseId: this.number, idToken });
  }

  update(station, { connector, session }, series) {
    Object.assign(this, { connector, session });
    const status = connector?.status ?? "Unknown";
    const title = el("b", {}, `EVSE ${this.number} `, el("span", { class: "muted", textContent: connector ? `connector ${connector.connector}` : "" }));
    this.head.replaceChildren(title, pill(status, TONE[status]));
    this.showFaults(station, status);
    this.showSession(series);
    this.offerTokens();
    this.allow(whyMute(station), status);
  }

  showFaults(station, status) {
    const own = station.faults.filter((fault) => fault.evse === this.number);
    const silent = status === "Faulted" && !station.faults.some((fault) => fault.evse === null || fault.evse === this.number);
    this.faults.replaceChildren(...faultList(own), ...(silent ? [el("p", { class: "notice", textContent: "Faulted; the station has not said why." })] : []));
  }

  showSession(series) {
    const { session, connector } = this;
    if (!session) {
      const meter = connector?.meter?.energy_wh;
      const idle = meter === null || meter === undefined ? "No session yet" : `No session yet · meter ${fixed(meter / 1000, 3)} kWh`;
      this.body.replaceChildren(el("div", { class: "idle", textContent: idle }), ...measured(connector?.meter ? [connector.meter] : []));
      return;
    }
    if (this.chartOf !== session.id) Object.assign(this, { chart: new Chart(), chartOf: session.id });
    this.chart.update(series, session.started);
    const now = session.active ? measured(series) : measured(connector?.meter ? [connector.meter] : []);
    this.body.replaceChildren(figures(session), ...now, this.chart.node, details(session));
  }

  offerTokens() {
    const signature = JSON.stringify(this.state.tokens);
    if (signature === this.offered) return;
    const chosen = this.tokens.value;
    const accepted = (token) => token.status === "Accepted";
    const sorted = [...this.state.tokens].sort((a, b) => accepted(b) - accepted(a));
    this.tokens.replaceChildren(...sorted.map((token) => el("option", { value: token.id_token, textContent: accepted(token) ? token.id_token : `${token.id_token} (${token.status})` })));
    if (sorted.some((token) => token.id_token === chosen)) this.tokens.value = chosen;
    this.offered = signature;
  }

  allow(mute, status) {
    const running = this.session?.active ? "a transaction is running" : "";
    const shut = { Faulted: "the EVSE is faulted", Unavailable: "the EVSE is out of service" }[status] ?? "";
    this.start.allow(mute || running || shut || (this.tokens.value ? "" : "there is no token; set one below"));
    this.stop.allow(mute || (running ? "" : "no transaction is running"));
    this.unlock.allow(mute || (running && "a transaction is running; stop it first"));
    this.out.allow(mute || (status === "Unavailable" ? "it is out of service already" : ""));
    this.back.allow(mute || (status === "Available" ? "it is in service already" : ""));
  }
}

const figure = (name, value, unit, label) => el("div", { class: name }, el("b", {}, value, el("i", { textContent: unit })), el("span", { textContent: label }));

function figures(session) {
  const kw = (watts) => (watts === null ? null : watts / 1000);
  const seconds = session.ended ? (Date.parse(session.ended) - Date.parse(session.started)) / 1000 : secondsSince(session.started);
  return el("div", { class: "figures" },
    figure("power", fixed(kw(session.active ? session.power_w : session.max_power_w), 1), "kW", session.active ? "power" : "peak power"),
    figure("soc", fixed(session.soc_percent, 0), "%", session.soc_start_percent === null ? "charge" : `from ${fixed(session.soc_start_percent, 0)} %`),
    figure("", fixed(kw(session.energy_wh), 2), "kWh", "energy"),
    figure("", Number.isFinite(seconds) ? span(seconds) : "–", "", session.active ? "since start" : "duration"));
}

const MEASURED = [["voltage_v", 1, 1, "V", "voltage"], ["current_a", 1, 1, "A", "current"], ["offered_w", 1000, 1, "kW", "offered power"], ["temperature_c", 1, 1, "°C", "temperature"]];

// The last value of each quantity that the station reports.
function measured(points) {
  const shown = MEASURED.flatMap(([field, divisor, digits, unit, label]) => {
    const value = points.findLast((point) => point[field] !== null && point[field] !== undefined)?.[field];
    return value === undefined ? [] : [figure("", fixed(value / divisor, digits), unit, label)];
  });
  return shown.length ? [el("div", { class: "figures measured" }, ...shown)] : [];
}

function details(session) {
  const state = session.active ? session.charging_state ?? "started" : `ended: ${session.stopped_reason ?? "?"}`;
  const tone = session.active ? (session.charging_state === "Charging" ? "good" : "info") : "";
  return el("div", { class: "session" }, pill(state, tone), sequencePill(session),
    el("span", {}, "token ", el("code", { textContent: session.id_token ?? "none" })),
    el("span", { title: session.id }, "id ", el("code", { textContent: session.id.length > 14 ? `${session.id.slice(0, 13)}…` : session.id })));
}
