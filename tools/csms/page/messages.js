// SPDX-License-Identifier: Apache-2.0
// The messages of the chosen station or of all: each request with its answer and its use case; exports, and links to one.

import { $, api, copy, el } from "../look/dom.js";
import { MessageList, pretty, summary } from "../look/messages.js";
import { USE_CASES } from "../look/use_cases.js";

const MAX_TEXT = 20000, OLDER = 500, MAX_OPEN = 1000;
let list, several = false, newestId = 0, oldestId = null, waiting = new Map();

// `row` is a line of the bench's log; what is listed is {said, answer, direction, kind}.
const pairOf = (row, direction) => `${row.station}\n${direction}\n${row.message_id}`;

function listed(rows) {
  return rows.flatMap((row) => {
    if (row.kind === "call") {
      const fresh = { said: row, direction: row.direction, kind: "call" };
      waiting.set(pairOf(row, row.direction), fresh);
      if (waiting.size > MAX_OPEN) waiting.delete(waiting.keys().next().value);
      return [fresh];
    }
    const key = pairOf(row, row.direction === "in" ? "out" : "in");
    const asked = row.kind === "result" || row.kind === "error" ? waiting.get(key) : null;
    if (!asked) return [{ said: row, direction: row.kind === "link" ? null : row.direction, kind: row.kind }];
    waiting.delete(key);
    asked.answer = row;
    if (row.kind === "error") asked.kind = "error";
    list.changed(asked);
    return [];
  });
}

export function clearMessages() {
  [several, newestId, oldestId, waiting] = [false, 0, null, new Map()];
  list.set([]);
}

export function setMessages(rows, all) {
  clearMessages();
  several = all;
  oldestId = rows[0]?.id ?? null;
  newestId = rows.at(-1)?.id ?? 0;
  list.set(listed(rows));
  $("older").hidden = rows.length < 300;
}

export function addMessage(row) {
  if (row.id && row.id <= newestId) return;
  newestId = row.id || newestId;
  oldestId ??= row.id;
  for (const each of listed([row])) list.add(each);
}

export const wantsAll = () => $("scope").value === "all";

export const messagesQuery = (state, more) => new URLSearchParams({ max_text: MAX_TEXT, ...more, ...(wantsAll() || !state.chosen ? {} : { station: state.chosen }) });

export function watchMessages(state, reload) {
  const parts = { list: $("messages"), count: $("messages-count"), filter: $("filter"), direction: $("direction"), problems: $("only-problems"), pause: $("pause") };
  list = new MessageList(parts, { line, isProblem, words, texts, tools });
  $("scope").addEventListener("input", reload);
  $("older").addEventListener("click", async () => {
    const older = await api(`/api/messages?${messagesQuery(state, { limit: OLDER, before: oldestId ?? "" })}`);
    oldestId = older[0]?.id ?? oldestId;
    // Answers among them must not be taken for those of newer requests.
    const newer = waiting;
    waiting = new Map();
    list.addOlder(listed(older));
    waiting = newer;
    $("older").hidden = older.length < OLDER;
  });
}

// The links to files of what is shown.
export function showExports(state) {
  const of = (station) => (station ? { station } : {});
  const link = (what, format, query) => el("a", { class: "button", href: `/api/export/${what}?${new URLSearchParams({ format, ...query })}`, download: "", textContent: `${format.toUpperCase()} file` });
  const fill = (id, what, query) => $(id).replaceChildren(el("span", { class: "muted", textContent: `All ${what} as a` }), ...["json", "csv"].map((format) => link(what, format, query)));
  fill("messages-files", "messages", of(wantsAll() ? null : state.chosen));
  fill("transactions-files", "transactions", of(state.chosen));
}

const isProblem = ({ said, answer, kind }) => kind === "error" || kind === "malformed" || Boolean(said.problem || answer?.problem);
const words = ({ said, answer }) => `${said.station} ${said.action ?? ""} ${said.kind} ${said.text} ${answer?.text ?? ""} ${USE_CASES[said.action] ?? ""}`;

async function whole(row) {
  if (!row.cut) return pretty(row.text);
  try { return pretty((await api(`/api/messages/${row.id}`)).text); } catch { return `${row.text}…\n(the rest is no longer held)`; }
}

async function texts({ said, answer }) {
  return [USE_CASES[said.action], await whole(said), answer && await whole(answer)].filter(Boolean);
}

function tools({ said }) {
  if (!said.id) return [];
  const done = el("span", { class: "muted", role: "status" });
  const button = (name, text) => el("button", { type: "button", textContent: name, onclick: async () => {
    done.textContent = (await copy(await text())) ? "copied" : "this browser does not let the page copy";
  } });
  return [button("Copy the message", async () => (await texts({ said: { ...said, action: null } }))[0]), button("Copy a link to it", async () => linkTo(said.id)), done];
}

const linkTo = (id) => `${location.origin}${location.pathname}#${new URLSearchParams({ message: id })}`;

function line({ said, answer, kind }) {
  const station = several && kind !== "link" ? `${said.station} · ` : "";
  const result = answer && answer.kind === "result" ? `⇒ ${brief(answer)}` : "";
  const took = (answer ?? said).took_ms;
  return {
    time: said.t,
    arrow: kind === "link" ? "•" : said.direction === "in" ? "→" : "←",
    title: said.direction === "in" ? "from the station" : "to the station",
    what: { link: said.station, malformed: "malformed" }[said.kind] ?? said.action ?? said.kind,
    brief: [station + brief(said), result].filter(Boolean).join("  "),
    took: took === null || took === undefined ? "" : `${took < 10 ? took.toFixed(1) : took.toFixed(0)} ms`,
    problem: [said.problem, answer?.problem, answer?.kind === "error" ? brief(answer) : ""].filter(Boolean).join("; "),
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

// The message that the address names: its row, or null if it is no longer held.
export async function linkedMessage(id) {
  try { return await api(`/api/messages/${id}`); } catch { return null; }
}

// Shows it above the list, with its answer, until it is closed.
export async function showLinked(id, row, close) {
  const shut = el("button", { type: "button", class: "quiet", textContent: "Close", onclick: () => { $("linked").hidden = true; close(); } });
  const nodes = [];
  if (row) {
    const after = await api(`/api/messages?${new URLSearchParams({ station: row.station, after: row.id, limit: 200 })}`);
    const answer = row.kind === "call" ? after.find((each) => each.message_id === row.message_id && each.direction !== row.direction) : null;
    const { time, arrow, what, problem, brief: short } = line({ said: row, answer, kind: row.kind });
    nodes.push(el("p", {}, el("b", { textContent: `Message ${row.id} ` }), `${time} ${row.station} ${arrow} ${what}: ${short}`));
    if (problem) nodes.push(el("p", { class: "error", textContent: problem }));
    nodes.push(...(await texts({ said: row, answer })).map((text) => el("pre", { textContent: text, tabIndex: 0 })), el("div", { class: "tools" }, ...tools({ said: row }), shut));
  } else {
    nodes.push(el("p", { class: "notice", role: "alert", textContent: `Message ${id} is not held: the bench deletes the oldest messages when there are too many.` }), shut);
  }
  $("linked").replaceChildren(el("div", { class: "message" }, ...nodes));
  $("linked").hidden = false;
  $("linked").scrollIntoView({ block: "nearest" });
}
