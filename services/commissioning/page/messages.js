// SPDX-License-Identifier: Apache-2.0
// The messages between station and CSMS: live, each request with its answer, filtered.

import { el } from "../look/dom.js";
import { MessageList, summary } from "../look/messages.js";
import { sentence } from "./forms.js";

export function show(place, page) {
  place.append(el("link", { rel: "stylesheet", href: new URL("../look/messages.css", import.meta.url).href }));
  const input = (properties) => el("input", properties);
  const parts = {
    count: el("small"), list: el("div", { class: "messages" }),
    filter: input({ type: "search", placeholder: "find: action, id, text", "aria-label": "Find messages" }),
    direction: el("select", { "aria-label": "Direction" }, el("option", { value: "", textContent: "both ways" }),
      el("option", { value: "out", textContent: "asked by the station" }), el("option", { value: "in", textContent: "asked by the CSMS" })),
    problems: input({ type: "checkbox" }), pause: input({ type: "checkbox" }),
  };
  const wrong = el("p", { class: "error", role: "alert" });
  place.append(el("section", { class: "card" }, el("h2", {}, "Station and CSMS ", parts.count),
    el("p", { textContent: "Passwords, keys, cards and other personal data are shown as ***." }),
    el("div", { class: "row" }, parts.filter, parts.direction, el("label", { class: "check" }, parts.problems, "problems"), el("label", { class: "check" }, parts.pause, "pause")), wrong, parts.list));
  const list = new MessageList(parts, { line, isProblem, words, texts });
  const open = new Map();
  page.stream("/api/messages/events", {
    reset: () => { open.clear(); list.set([]); wrong.textContent = ""; },
    problem: ({ detail }) => { wrong.textContent = sentence(detail); },
    exchange: (exchange) => {
      const row = open.get(exchange.number);
      open.delete(exchange.number);
      if (row) {
        Object.assign(row, { exchange, kind: kindOf(exchange) });
        return list.changed(row);
      }
      const fresh = { exchange, direction: exchange.direction, kind: kindOf(exchange) };
      if (exchange.type === "CALL" && !exchange.answered) open.set(exchange.number, fresh);
      list.add(fresh);
    },
  });
}

// Of a request that has its answer, the answer decides.
function kindOf({ type, outcome, answered }) {
  if (type === "CALL") return answered && outcome !== "result" ? "error" : "call";
  return { CALLRESULT: "result", CALLERROR: "error", "NO ANSWER": "error", UNREADABLE: "malformed" }[type] ?? "link";
}

const isProblem = ({ exchange, kind }) => kind === "error" || kind === "malformed" || ["DISCONNECTED", "NO CONNECTION"].includes(exchange.type);
const words = ({ exchange }) => JSON.stringify(exchange);

function line({ exchange, kind }) {
  const { time, type, direction, action, outcome, ms, text } = exchange;
  return {
    time,
    arrow: direction ? (direction === "out" ? "→" : "←") : "•",
    title: direction ? (direction === "out" ? "from the station" : "from the CSMS") : "",
    what: action || type.toLowerCase(),
    brief: [said(exchange), kind === "call" && exchange.answered ? `⇒ ${summary(action, exchange.answer ?? {}, false)}` : ""].filter(Boolean).join("  "),
    took: ms === undefined ? "" : `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`,
    problem: isProblem({ exchange, kind }) && kind !== "link" ? [outcome, text, exchange.answer?.description].filter(Boolean).join(": ") : "",
  };
}

function said({ type, action, request, answer, text }) {
  if (type === "CALL") return request === undefined ? "" : summary(action, request, true);
  return answer === undefined ? text ?? "" : summary(action, answer, false);
}

async function texts({ exchange: { number, request, answer, ...head } }) {
  return [JSON.stringify(head), ...[request, answer].filter((each) => each !== undefined).map((each) => JSON.stringify(each, null, 2))];
}
