// SPDX-License-Identifier: Apache-2.0
// The log of messages of all stations.

import { $, api } from "/look/dom.js";
import { MessageList, pretty, summary } from "/look/messages.js";

let list, several = false;

export function setMessages(newest) {
  // Keep what the event stream has sent while the list was loading.
  const last = newest.at(-1)?.id ?? 0;
  const rows = [...newest, ...list.rows.filter((row) => row.id > last)];
  several = new Set(rows.map((row) => row.station)).size > 1;
  list.set(rows);
}

export function addMessage(row) {
  const newest = list.rows.at(-1);
  if (row.id && newest && row.id <= newest.id) return;
  if (newest && !several && row.station !== newest.station) {
    several = true;
    for (const each of list.rows) list.changed(each);
  }
  list.add(row);
}

export function watchFilters() {
  const parts = { list: $("messages"), count: $("messages-count"), filter: $("filter"), direction: $("direction"), problems: $("only-problems"), pause: $("pause") };
  list = new MessageList(parts, { line, isProblem, words, texts });
  $("older").addEventListener("click", async () => {
    const older = await api(`/api/messages?max_text=20000&limit=500&before=${list.rows[0]?.id ?? ""}`);
    list.addOlder(older);
    $("older").hidden = older.length < 500;
  });
}

const isProblem = (row) => Boolean(row.problem) || row.kind === "error" || row.kind === "malformed";
const words = (row) => `${row.station} ${row.action ?? ""} ${row.kind} ${row.text}`;
const texts = async (row) => [pretty(row.cut ? (await api(`/api/messages/${row.id}`)).text : row.text)];

function line(row) {
  const station = several && row.kind !== "link" ? `${row.station} · ` : "";
  return {
    time: row.t,
    arrow: row.kind === "link" ? "•" : row.direction === "in" ? "→" : "←",
    title: row.direction === "in" ? "from the station" : "to the station",
    what: { link: row.station, malformed: "malformed" }[row.kind] ?? row.action ?? row.kind,
    brief: station + brief(row),
    took: row.took_ms === null ? "" : `${row.took_ms < 10 ? row.took_ms.toFixed(1) : row.took_ms.toFixed(0)} ms`,
    problem: row.problem,
  };
}

function brief(row) {
  if (row.kind === "link" || row.kind === "malformed") return row.text.slice(0, 200);
  let frame;
  try { frame = JSON.parse(row.text); } catch { return row.text.slice(0, 200); }
  if (row.kind === "error") return `${frame[2]}: ${frame[3]}`;
  const isCall = row.kind === "call";
  return summary(row.action, frame[isCall ? 3 : 2] ?? {}, isCall);
}
