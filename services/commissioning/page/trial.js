// SPDX-License-Identifier: Apache-2.0
// New settings of the network that are being tried: said above every page, with the time that is left to keep them.

import { $, el, span } from "../look/dom.js";
import { get, post } from "./api.js";
import { button } from "./forms.js";

let timer = null;

// Looks whether there is a trial, and shows it; `page` is the frame's.
export async function lookForTrial(page) {
  drawTrial(page, await get("/api/network"));
}

export function drawTrial(page, { trial }) {
  clearInterval(timer);
  const place = $("trial");
  if (!trial) return place.replaceChildren();
  const until = performance.now() + trial.left_s * 1000;
  const left = el("b");
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((until - performance.now()) / 1000));
    left.textContent = span(seconds);
    if (seconds > 0) return;
    clearInterval(timer);
    timer = setInterval(() => lookForTrial(page).catch(() => null), 2000);
  };
  const end = (name, text) => button(text, async () => { drawTrial(page, await post(`/api/network/${name}`)); }, { tone: name === "keep" ? "primary" : "" });
  place.replaceChildren(el("div", { class: "notice seat", role: "status" },
    el("span", {}, `New settings of ${trial.interface} are being tried. Unless they are kept, the former ones return in `, left, "."),
    page.isInstaller ? el("span", { class: "row" }, end("keep", "Keep the new settings"), end("return", "Return to the former ones")) : ""));
  timer = setInterval(tick, 1000);
  tick();
}
