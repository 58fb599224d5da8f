// SPDX-License-Identifier: Apache-2.0
// The log of messages: newest first, filtered here, opened on demand.

import { $, api, clock, el } from "/look/dom.js";

const SHOWN = 300, KEPT = 3000;
const rows = [];
const open = new Set();
const full = new Map();
const nodes = new Map();
let waiting = false;

export function setMessages(newest) {
  // Keep what the event stream has sent while the list was loading.
  const last = newest.at(-1)?.id ?? 0;
  rows.splice(0, rows.length, ...newest, ...rows.filter((row) => row.id > last));
  nodes.clear();
  render();
}

export function addMessage(row) {
  if (row.id && rows.length && row.id <= rows.at(-1).id) return;
  rows.push(row);
  if (rows.length > KEPT) rows.splice(0, rows.length - KEPT);
  if (!$("pause").checked) later();
}

function later() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; render(); });
}

export function watchFilters() {
  for (const id of ["filter", "direction", "only-problems", "pause"]) $(id).addEventListener("input", render);
  $("older").addEventListener("click", async () => {
    const older = await api(`/api/messages?max_text=20000&limit=500&before=${rows[0]?.id ?? ""}`);
    rows.unshift(...older);
    $("older").hidden = older.length < 500;
    render();
  });
}

function wanted() {
  const text = $("filter").value.trim().toLowerCase();
  const direction = $("direction").value;
  const problems = $("only-problems").checked;
  return (row) =>
    (!direction || row.direction === direction) &&
    (!problems || row.problem || row.kind === "error" || row.kind === "malformed") &&
    (!text || `${row.station} ${row.action ?? ""} ${row.kind} ${row.text}`.toLowerCase().includes(text));
}

function render() {
  const found = rows.filter(wanted());
  const shown = found.slice(-SHOWN).reverse();
  $("messages-count").textContent = found.length === rows.length ? `${rows.length} loaded` : `${found.length} of ${rows.length}`;
  const several = new Set(rows.map((row) => row.station)).size > 1;
  $("messages").replaceChildren(...shown.map((row) => node(row, several)));
  if (!shown.length) $("messages").append(el("p", { class: "empty", textContent: rows.length ? "No message matches the filter." : "No messages yet." }));
  for (const id of nodes.keys()) if (nodes.size > 2 * SHOWN) nodes.delete(id);
}

function node(row, several) {
  const key = `${row.id} ${open.has(row.id)} ${several}`;
  if (nodes.get(row.id)?.key !== key) nodes.set(row.id, { key, node: line(row, several) });
  return nodes.get(row.id).node;
}

function line(row, several) {
  const arrow = row.kind === "link" ? "•" : row.direction === "in" ? "→" : "←";
  const title = row.direction === "in" ? "from the station" : "to the station";
  const what = { link: row.station, malformed: "malformed" }[row.kind] ?? row.action ?? row.kind;
  const station = several && row.kind !== "link" ? `${row.station} · ` : "";
  const took = row.took_ms === null ? "" : `${row.took_ms < 10 ? row.took_ms.toFixed(1) : row.took_ms.toFixed(0)} ms`;
  const button = el("button", { ariaExpanded: String(open.has(row.id)), onclick: () => toggle(row) },
    el("time", { textContent: clock(row.t), title: row.t }), el("span", { class: "arrow", textContent: arrow, title }),
    el("span", { class: "what", textContent: what }), el("span", { class: "brief", textContent: station + brief(row) }),
    el("span", { class: "took", textContent: took }));
  const item = el("div", { class: `message ${row.direction} ${row.kind}` }, button);
  if (row.problem) item.append(el("div", { class: "problem", textContent: row.problem }));
  if (open.has(row.id)) item.append(el("pre", { textContent: pretty(full.get(row.id) ?? row.text) }));
  return item;
}

async function toggle(row) {
  if (!open.delete(row.id)) {
    if (row.cut) full.set(row.id, (await api(`/api/messages/${row.id}`)).text);
    open.add(row.id);
  }
  render();
}

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

// A summary of the message in one line.
function brief(row) {
  if (row.kind === "link" || row.kind === "malformed") return row.text.slice(0, 200);
  let frame;
  try { frame = JSON.parse(row.text); } catch { return row.text.slice(0, 200); }
  if (row.kind === "error") return `${frame[2]}: ${frame[3]}`;
  try { return summary(row, frame); } catch { return row.text.slice(0, 200); } // a payload that breaks its schema
}

function summary(row, frame) {
  const payload = frame[row.kind === "call" ? 3 : 2] ?? {};
  const short = (row.kind === "call" ? BRIEF : RESULT_BRIEF)[row.action]?.(payload) || payload.status || payload.idTokenInfo?.status;
  return short || (Object.keys(payload).length ? JSON.stringify(payload).slice(0, 160) : row.kind === "result" ? "ok" : "");
}

const variables = (list) => list.map((item) => `${item.component.name}.${item.variable.name}`).join(", ");
const BRIEF = {
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

const RESULT_BRIEF = {
  GetVariables: (p) => p.getVariableResult.map((r) => `${r.component.name}.${r.variable.name} = ${r.attributeValue ?? r.attributeStatus}`).join(", "),
  SetVariables: (p) => p.setVariableResult.map((r) => `${r.component.name}.${r.variable.name}: ${r.attributeStatus}`).join(", "),
};
