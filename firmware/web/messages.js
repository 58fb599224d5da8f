// SPDX-License-Identifier: Apache-2.0
// A list of messages between station and CSMS: newest first, filtered, opened on demand; and what each says, in a line.

import { clock, el, place } from "./dom.js";

const SHOWN = 300, KEPT = 3000, PAUSE_MS = 100;

// `parts` are the elements: list, count, filter, direction, problems, pause. A row has a `direction` (in, out), a `kind`
// (its class) and whatever `view` reads from it:
//   line(row)    time, arrow, title, what, brief, took and perhaps problem: texts
//   isProblem(row)
//   words(row)   the text in which the filter searches
//   texts(row)   a promise of what is shown when it is opened
//   tools(row)   elements below it, such as buttons; optional
export class MessageList {
  constructor(parts, view) {
    Object.assign(this, { parts, view, rows: [], open: new Map(), nodes: new WeakMap(), waiting: false, pause: PAUSE_MS });
    for (const part of [parts.filter, parts.direction, parts.problems, parts.pause]) part.addEventListener("input", () => this.render());
  }

  set(rows) {
    this.rows = rows;
    this.open.clear();
    this.render();
  }

  add(row) {
    this.rows.push(row);
    if (this.rows.length > KEPT) for (const old of this.rows.splice(0, this.rows.length - KEPT)) this.open.delete(old);
    this.later();
  }

  addOlder(rows) {
    this.rows.unshift(...rows);
    this.render();
  }

  // The row says something else now.
  changed(row) {
    this.nodes.delete(row);
    this.later();
  }

  later() {
    if (this.waiting || this.parts.pause.checked) return;
    this.waiting = true;
    // However fast messages come, drawing takes a fifth of the time at most.
    setTimeout(() => {
      this.waiting = false;
      const began = performance.now();
      this.render();
      this.pause = Math.max(PAUSE_MS, 4 * (performance.now() - began));
    }, this.pause);
  }

  isWanted(row) {
    const { filter, direction, problems } = this.parts;
    const text = filter.value.trim().toLowerCase();
    return (!direction.value || row.direction === direction.value) && (!problems.checked || this.view.isProblem(row)) &&
      (!text || this.view.words(row).toLowerCase().includes(text));
  }

  render() {
    const found = this.rows.filter((row) => this.isWanted(row));
    const all = this.rows.length;
    this.parts.count.textContent = found.length === all ? `${all} loaded` : `${found.length} of ${all}`;
    const nodes = found.slice(-SHOWN).reverse().map((row) => this.node(row));
    if (!nodes.length) nodes.push(el("p", { class: "empty", textContent: all ? "No message matches the filter." : "No messages yet." }));
    place(this.parts.list, nodes);
  }

  node(row) {
    if (!this.nodes.has(row)) this.nodes.set(row, this.item(row));
    return this.nodes.get(row);
  }

  item(row) {
    const { time, arrow, title, what, brief, took, problem } = this.view.line(row);
    const texts = this.open.get(row);
    const button = el("button", { type: "button", ariaExpanded: String(Boolean(texts)), onclick: () => this.toggle(row) },
      el("time", { textContent: clock(time), title: time }), el("span", { class: "arrow", textContent: arrow, title }),
      el("span", { class: "what", textContent: what }), el("span", { class: "brief", textContent: brief }),
      el("span", { class: "took", textContent: took }));
    const item = el("div", { class: `message ${row.direction ?? ""} ${row.kind}` }, button);
    if (problem) item.append(el("div", { class: "problem", textContent: problem }));
    item.append(...(texts ?? []).map((text) => el("pre", { textContent: text, tabIndex: 0 })));
    if (texts && this.view.tools) item.append(el("div", { class: "tools" }, ...this.view.tools(row)));
    return item;
  }

  async toggle(row) {
    if (!this.open.delete(row)) this.open.set(row, await this.view.texts(row));
    const old = this.nodes.get(row);
    const hadFocus = old?.contains(document.activeElement);
    this.nodes.delete(row);
    this.render();
    if (hadFocus) this.nodes.get(row)?.querySelector("button").focus();
  }
}

export function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

// A call or the result of one, in a line; a payload that breaks its schema as it is.
export function summary(action, payload, isCall) {
  try { return brief(action, payload, isCall); } catch { return JSON.stringify(payload).slice(0, 200); }
}

function brief(action, payload, isCall) {
  const short = (isCall ? CALLS : RESULTS)[action]?.(payload) || payload.status || payload.idTokenInfo?.status;
  return short || (Object.keys(payload).length ? JSON.stringify(payload).slice(0, 160) : isCall ? "" : "ok");
}

const variables = (list) => list.map((item) => `${item.component.name}.${item.variable.name}`).join(", ");

const CALLS = {
  BootNotification: (p) => `${p.reason} · ${p.chargingStation.vendorName} ${p.chargingStation.model}`,
  StatusNotification: (p) => `EVSE ${p.evseId} connector ${p.connectorId}: ${p.connectorStatus}`,
  Authorize: (p) => p.idToken.idToken,
  TransactionEvent: (p) => [`${p.eventType} ${p.seqNo}`, p.triggerReason, p.transactionInfo.chargingState, p.offline && "offline"].filter(Boolean).join(" · "),
  SecurityEventNotification: (p) => [p.type, p.techInfo].filter(Boolean).join(" · "),
  NotifyEvent: (p) => p.eventData.map((e) => `${e.component.name}.${e.variable.name} = ${e.actualValue}`).join(", "),
  NotifyReport: (p) => `request ${p.requestId} part ${p.seqNo}: ${variables(p.reportData ?? [])}`,
  MeterValues: (p) => `EVSE ${p.evseId}`,
  GetVariables: (p) => variables(p.getVariableData),
  SetVariables: (p) => variables(p.setVariableData),
  TriggerMessage: (p) => p.requestedMessage,
  ChangeAvailability: (p) => `${p.evse ? `EVSE ${p.evse.id}` : "station"}: ${p.operationalStatus}`,
  Reset: (p) => p.type,
  SignCertificate: (p) => p.certificateType ?? "for all purposes",
  CertificateSigned: (p) => p.certificateType,
  InstallCertificate: (p) => p.certificateType,
  UpdateFirmware: (p) => p.firmware.location,
  GetLog: (p) => `${p.logType} to ${p.log.remoteLocation}`,
  RequestStartTransaction: (p) => `EVSE ${p.evseId ?? "any"} · ${p.idToken.idToken}`,
  RequestStopTransaction: (p) => p.transactionId,
};

const RESULTS = {
  GetVariables: (p) => p.getVariableResult.map((r) => `${r.component.name}.${r.variable.name} = ${r.attributeValue ?? r.attributeStatus}`).join(", "),
  SetVariables: (p) => p.setVariableResult.map((r) => `${r.component.name}.${r.variable.name}: ${r.attributeStatus}`).join(", "),
};
