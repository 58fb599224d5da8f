// SPDX-License-Identifier: Apache-2.0
// The messages between station and CSMS, from the station's log: each request with its answer, and its use case.

import { $ } from "/look/dom.js";
import { MessageList, summary } from "/look/messages.js";
import { USE_CASES } from "/look/use_cases.js";

const parts = { list: $("messages"), count: $("messages-count"), filter: $("filter"), direction: $("direction"), problems: $("only-problems"), pause: $("pause") };
let open = new Map();

// A new connection to the rig begins with the whole log.
export function startMessages() {
  open = new Map();
  list.set([]);
}

export function addMessage(said) {
  const asked = said.type !== "CALL" && open.get(said.id);
  if (asked) {
    open.delete(said.id);
    asked.answer = said;
    if (said.type !== "CALLRESULT") asked.kind = "error";
    return list.changed(asked);
  }
  const row = { said, direction: said.direction, kind: said.type === "CALL" ? "call" : said.direction ? "error" : "link" };
  if (said.type === "CALL") open.set(said.id, row);
  list.add(row);
}

const isProblem = ({ kind, said }) => kind === "error" || ["DISCONNECTED", "NO CONNECTION"].includes(said.type);
const words = ({ said, answer }) => `${JSON.stringify(said)} ${JSON.stringify(answer ?? "")} ${USE_CASES[said.action] ?? ""}`;
const texts = async ({ said, answer }) => [USE_CASES[said.action], JSON.stringify(said.payload ?? said, null, 2), answer && JSON.stringify(answer.payload ?? answer, null, 2)].filter(Boolean);

const list = new MessageList(parts, { line, isProblem, words, texts });

function line({ said, answer, kind }) {
  const { time, direction, type, action, payload, text } = said;
  const result = answer?.payload && answer.type === "CALLRESULT" ? `⇒ ${summary(action, answer.payload, false)}` : "";
  return {
    time,
    arrow: direction ? (direction === "out" ? "→" : "←") : "•",
    title: USE_CASES[action] ?? "",
    what: action || type.toLowerCase(),
    brief: [payload && type === "CALL" ? summary(action, payload, true) : text ?? "", result].filter(Boolean).join("  "),
    took: answer?.ms === undefined ? "" : `${answer.ms < 10 ? answer.ms.toFixed(1) : answer.ms.toFixed(0)} ms`,
    problem: kind === "error" ? [(answer ?? said).outcome, (answer ?? said).text].filter(Boolean).join(": ") || "an error" : "",
  };
}
