// SPDX-License-Identifier: Apache-2.0
// The set-up of a new station, step by step. Each step is checked by the station before it is kept; certificates come
// before the CSMS, because a configuration slot that needs what is not installed is refused.

import { $, el, pill } from "../look/dom.js";
import { get, post } from "./api.js";
import { button, sentence } from "./forms.js";
import { certificatesStep } from "./certificates.js";
import { networkStep } from "./network.js";
import { csmsStep, identityStep, limitStep, timeStep } from "./steps.js";

// `name` is that of the station's own list of what is left to do; it has none for the site limit.
const STEPS = [
  { name: "station", title: "Identity and product", show: identityStep },
  { name: "network", title: "Network", show: networkStep },
  { name: "certificates", title: "Certificates", show: certificatesStep },
  { name: "csms", title: "CSMS", show: csmsStep },
  { name: "time_zone", title: "Time zone", show: timeStep },
  { name: "", title: "Site limit", show: limitStep },
  { name: "connection", title: "Finish", show: finishStep, isFresh: true },
];

// Steps that were shown stay as they were left, with what was typed.
export async function show(place, page) {
  const shown = new Map();
  const list = el("ol", { class: "progress" });
  const holder = el("div", { class: "view" });
  let present = null;
  let state = new Map();

  async function look() {
    const { steps, restart_needed } = await get("/api/wizard");
    state = new Map(steps.map((each) => [each.step, each]));
    draw();
    return { restart_needed, connection: state.get("connection") };
  }

  async function go(step, { focus = true } = {}) {
    present = step;
    draw();
    if (!shown.has(step) || step.isFresh) shown.set(step, await card(step));
    if (present !== step) return;
    holder.replaceChildren(shown.get(step));
    if (focus) holder.querySelector("h2").focus();
  }

  async function card(step) {
    const place = el("section", { class: "card" }, el("h2", { tabIndex: -1, textContent: `${STEPS.indexOf(step) + 1}. ${step.title}` }));
    try {
      place.append(await step.show({ page, look, done: async () => { await look(); await go(STEPS[STEPS.indexOf(step) + 1]); } }));
    } catch (error) {
      place.append(el("p", { class: "error", role: "alert", textContent: sentence(error.message) }));
    }
    return place;
  }

  function draw() {
    const focused = [...list.children].findIndex((each) => each.contains(document.activeElement));
    list.replaceChildren(...STEPS.map((step, index) => {
      const { done, text } = state.get(step.name) ?? {};
      const node = el("button", { type: "button", title: text ? sentence(text) : "", "aria-current": step === present ? "step" : null },
        el("span", { class: done ? "mark done" : "mark", textContent: done ? "✓" : String(index + 1), "aria-hidden": "true" }), step.title,
        done ? el("span", { class: "hidden-text", textContent: " (done)" }) : null);
      node.addEventListener("click", () => go(step));
      return el("li", {}, node);
    }));
    if (focused >= 0) list.children[focused].firstChild.focus();
  }

  place.append(list, holder);
  await look();
  await go(STEPS[0], { focus: false });
}

async function finishStep({ look, page }) {
  const state = el("p", { id: "connection", role: "status" });
  const draw = async () => {
    if (page.status && !page.status.service) return;
    const { restart_needed, connection } = await look();
    state.replaceChildren(pill(connection.done ? "ready" : "not ready", connection.done ? "good" : "warn"), ` ${sentence(connection.text)}`,
      restart_needed ? " The new identity or product waits for the restart." : "");
  };
  let known = "";
  page.on("status", ({ service, csms }) => {
    const now = JSON.stringify([service, csms?.connected, csms?.registration]);
    if (now !== known && $("connection")) draw().catch(() => null);
    known = now;
  });
  await draw();
  return el("div", { class: "view" },
    el("p", { textContent: "Identity, product and configuration slots count from the next start of the OCPP service. It takes about two seconds, and a car that charges goes on charging." }),
    button("Restart the OCPP service", async () => {
      await post("/api/restart", { what: "service" });
      return "It restarts.";
    }, { tone: "primary" }), state);
}
