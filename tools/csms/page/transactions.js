// SPDX-License-Identifier: Apache-2.0
// The transactions of the chosen station.

import { $, cell, dayAndClock, el, fixed, pill, table } from "../look/dom.js";

const SHOWN = 30;
let shown = "";

export const sessionKey = (session) => `${session.station}\n${session.id}`;

export function renderTransactions(state) {
  const all = [...state.transactions.values()];
  const rows = all.slice(0, SHOWN);
  const signature = JSON.stringify([state.chosen, rows]);
  if (signature === shown) return;
  shown = signature;
  $("transactions-count").textContent = all.length ? `${all.length}${all.length > SHOWN ? `, the last ${SHOWN} shown` : ""}` : "";
  $("transactions").replaceChildren(all.length ? table(HEADS, rows.map(row), "cards") : el("p", { class: "empty", textContent: "None yet." }));
  $("transactions-files").hidden = !all.length;
}

const HEADS = [["Id"], ["EVSE"], ["Token"], ["Started"], ["Ended"], ["Reason"], ["kWh", "number"], ["Events"]];

function row(session) {
  return el("tr", {},
    cell(el("code", { textContent: session.id.length > 12 ? `${session.id.slice(0, 11)}…` : session.id, title: session.id })),
    cell(session.evse ?? "–"), cell(el("code", { textContent: session.id_token ?? "–" })),
    cell(dayAndClock(session.started)), cell(session.active ? pill(session.charging_state ?? "active", "good") : dayAndClock(session.ended)),
    cell(session.stopped_reason ?? "–"), cell(fixed(session.energy_wh === null ? null : session.energy_wh / 1000, 3), "number"),
    cell(sequencePill(session), "wrap"));
}

export function sequencePill(session) {
  const again = session.repeated ? `, ${session.repeated} repeated` : "";
  const text = session.seq_ok ? `${session.events} events${again}` : session.problems.join("; ");
  const node = pill(text, session.seq_ok ? "" : "bad");
  node.title = session.seq_ok ? "sequence numbers complete and in order" : "errors in the sequence of events";
  return node;
}
