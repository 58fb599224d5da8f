// SPDX-License-Identifier: Apache-2.0
// The form that sends any request to the chosen station.

import { $, api, el } from "../look/dom.js";
import { newId } from "./operations.js";

let templates = [];

export async function loadTemplates(state) {
  templates = await api("/api/actions");
  const groups = new Map();
  templates.forEach((template, index) => {
    if (!groups.has(template.group)) groups.set(template.group, el("optgroup", { label: template.group }));
    groups.get(template.group).append(el("option", { value: index, textContent: `${template.action} – ${template.title}` }));
  });
  $("template").replaceChildren(...groups.values());
  $("template").addEventListener("change", () => fill(state));
  $("send").addEventListener("click", () => send(state));
  $("payload").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(state);
  });
  fill(state);
}

export function prepare(action, payload) {
  $("action").value = action;
  $("payload").value = JSON.stringify(payload, null, 2);
  $("payload").rows = Math.min(16, Math.max(4, $("payload").value.split("\n").length));
}

function fill(state) {
  const template = templates[$("template").value];
  prepare(template.action, filled(template.payload, state));
}

function filled(value, state) {
  if (Array.isArray(value)) return value.map((item) => filled(item, state));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, filled(item, state)]));
  }
  const now = Date.now();
  const running = [...state.transactions.values()].find((session) => session.station === state.chosen && session.active);
  switch (value) {
    case "$request_id": return newId();
    case "$transaction": return running?.id ?? "";
    case "$now": return new Date(now).toISOString();
    case "$in_an_hour": return new Date(now + 3600000).toISOString();
    case "$ocpp": return state.ocpp;
    case "$ocpps": return state.about?.ocpps ?? "";
    case "$root": return state.about?.root;
    case "$manufacturer_root": return state.about?.manufacturer_root;
    case "$logs": return `${state.files?.https ?? ""}logs/`;
    case "$logs_ftp": return `${state.files?.ftp ?? ""}logs/`;
    case "$image": return `${state.files?.https ?? ""}firmware.img`;
    default: return value;
  }
}

async function send(state) {
  let payload;
  try {
    payload = JSON.parse($("payload").value || "{}");
  } catch (error) {
    show("bad", "not sent", String(error.message));
    return;
  }
  if (!state.chosen) return show("bad", "not sent", "no station");
  $("send").disabled = true;
  const body = { action: $("action").value.trim(), payload, raw: $("raw").checked };
  try {
    const answer = await api(`/api/stations/${encodeURIComponent(state.chosen)}/call`, { method: "POST", body });
    const error = answer.call_error;
    const head = `${answer.action} ${error ? `CALLERROR ${error.code}` : answer.result.status ?? "answered"}`;
    show(error || answer.problem ? "bad" : "good", `${head} · ${answer.took_ms} ms`, answer.problem, error ?? answer.result);
  } catch (error) {
    show("bad", "no answer", error.message);
  } finally {
    $("send").disabled = false;
  }
}

function show(tone, head, text, data) {
  $("answer").hidden = false;
  $("answer").replaceChildren(
    el("span", { class: `pill ${tone}`, textContent: head }), el("span", { textContent: text ? ` ${text}` : "" }),
    data === undefined ? "" : el("pre", { textContent: JSON.stringify(data, null, 2) }));
}
