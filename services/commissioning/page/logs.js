// SPDX-License-Identifier: Apache-2.0
// The logs of the processes, live, and everything as one file for support.

import { el } from "../look/dom.js";
import { file } from "./api.js";
import { button, download } from "./forms.js";

const KEPT = 2000, SHOWN = 500;
const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

export function show(place, page) {
  const filter = el("input", { type: "search", placeholder: "find in the lines", "aria-label": "Find in the logs" });
  const level = el("select", { "aria-label": "Least level" }, ...LEVELS.slice(0, 4).map((each) => el("option", { value: each, textContent: each === "DEBUG" ? "all levels" : `from ${each.toLowerCase()}` })));
  const process = el("select", { "aria-label": "Process" }, el("option", { value: "", textContent: "all processes" }));
  const pause = el("input", { type: "checkbox" });
  const list = el("pre", { class: "log", tabIndex: 0, "aria-label": "Lines of the logs" });
  let lines = [], waiting = false;

  function draw() {
    waiting = false;
    const text = filter.value.trim().toLowerCase();
    const least = LEVELS.indexOf(level.value);
    const found = lines.filter((line) => (!process.value || line.process === process.value) && LEVELS.indexOf(line.level) >= least && (!text || `${line.logger} ${line.text}`.toLowerCase().includes(text)));
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 20;
    list.replaceChildren(...found.slice(-SHOWN).map((line) => el("div", { class: line.level.toLowerCase(), textContent: `${line.time} ${line.process} ${line.level} ${line.logger}: ${line.text}` })));
    if (!found.length) list.append("No lines.");
    if (atEnd) list.scrollTop = list.scrollHeight;
  }

  function later() {
    if (waiting || pause.checked) return;
    waiting = true;
    requestAnimationFrame(draw);
  }

  function add(line) {
    if (![...process.options].some((each) => each.value === line.process)) process.append(el("option", { value: line.process, textContent: line.process }));
    lines.push(line);
    if (lines.length > KEPT) lines = lines.slice(-KEPT);
    later();
  }

  for (const input of [filter, level, process, pause]) input.addEventListener("input", draw);
  page.stream("/api/log/events?level=DEBUG", { reset: () => { lines = []; later(); }, line: add });
  place.append(bundleCard());
  place.append(el("section", { class: "card" }, el("h2", { textContent: "Lines as they come" }),
    el("div", { class: "row" }, filter, level, process, el("label", { class: "check" }, pause, "pause")), list));
}

function bundleCard() {
  const get = button("Make the bundle", async () => {
    const { name, content } = await file("/api/log/bundle");
    download(name, content);
  });
  return el("section", { class: "card" }, el("h2", { textContent: "Bundle for support" }),
    el("p", { textContent: "Logs, messages and the state of the station in one archive, without passwords and card numbers." }), get);
}
