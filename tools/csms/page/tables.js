// SPDX-License-Identifier: Apache-2.0
// Transactions and tokens.

import { $, api, cell, dayAndClock, el, fixed, pill, table } from "/look/dom.js";
import { sequencePill } from "/static/stations.js";

const STATUSES = ["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx", "NoCredit", "NotAllowedTypeEVSE", "NotAtThisLocation", "NotAtThisTime", "Unknown"];
const SHOWN = 30;

export function renderTransactions(state) {
  const all = [...state.transactions.values()].filter((session) => session.station === state.chosen);
  $("transactions-count").textContent = all.length ? `${all.length}${all.length > SHOWN ? `, the last ${SHOWN} shown` : ""}` : "";
  if (!all.length) {
    $("transactions").replaceChildren(el("p", { class: "empty", textContent: "None yet." }));
    return;
  }
  const rows = all.slice(0, SHOWN).map((session) => el("tr", {},
    cell(el("code", { textContent: session.id.length > 12 ? `${session.id.slice(0, 11)}…` : session.id, title: session.id })),
    cell(session.evse ?? "–"), cell(el("code", { textContent: session.id_token ?? "–" })),
    cell(dayAndClock(session.started)), cell(session.active ? pill(session.charging_state ?? "active", "good") : dayAndClock(session.ended)),
    cell(session.stopped_reason ?? "–"), cell(fixed(session.energy_wh === null ? null : session.energy_wh / 1000, 3), "number"),
    cell(sequencePill(session), "wrap")));
  const heads = [["Id"], ["EVSE"], ["Token"], ["Started"], ["Ended"], ["Reason"], ["kWh", "number"], ["Events"]];
  $("transactions").replaceChildren(table(heads, rows));
}

export function renderTokens(state) {
  const rows = state.tokens.map((token) => el("tr", {},
    cell(el("code", { textContent: token.id_token })), cell(token.type),
    cell(pill(token.status, token.status === "Accepted" ? "good" : "bad")), cell(token.group_id_token ?? "–"),
    cell(el("button", { textContent: "Delete", onclick: () => change("DELETE", token.id_token) }), "number")));
  const heads = [["Id"], ["Type"], ["Status"], ["Group"], [""]];
  $("tokens").replaceChildren(table(heads, rows));
}

export function watchTokenForm() {
  $("token-status").replaceChildren(...STATUSES.map((status) => el("option", { textContent: status })));
  $("token-add").addEventListener("click", async () => {
    const id = $("token-id").value.trim();
    if (!id) return $("token-id").focus();
    const done = await change("PUT", id, { status: $("token-status").value, group_id_token: $("token-group").value.trim() || null });
    if (done) $("token-id").value = "";
  });
}

async function change(method, id, body) {
  $("token-error").hidden = true;
  try {
    await api(`/api/tokens/${encodeURIComponent(id)}`, { method, body });
    return true;
  } catch (error) {
    $("token-error").textContent = error.message;
    $("token-error").hidden = false;
    return false;
  }
}
