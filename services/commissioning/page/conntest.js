// SPDX-License-Identifier: Apache-2.0
// The connection test: each step on the way to the CSMS, what failed, and how to mend it.

import { el, pill } from "../look/dom.js";
import { post } from "./api.js";
import { sentence } from "./forms.js";

const STEPS = {
  dns: "Find the address of the name", tcp: "Reach the port", tls: "Secure the connection", http: "Be let in by the CSMS",
  subprotocol: "Agree on OCPP 2.0.1", boot: "Be accepted by the CSMS",
};
const OUTCOMES = { ok: ["ok", "good"], failed: ["failed", "bad"], skipped: ["not tried", ""] };
const NOT_TRIED = "not tried";

// A place for results, and `run(request)`, which fills it.
export function connectionTest() {
  const place = el("div", { class: "steps", role: "status" });
  async function run(request) {
    place.replaceChildren(el("p", { class: "past", textContent: "The station tries to reach the CSMS …" }));
    try {
      const { steps, note } = await post("/api/connection-test", request);
      place.replaceChildren(el("ol", {}, ...steps.map(step)), note ? el("div", { class: "notice", textContent: note }) : "", verdict(steps));
    } catch (error) {
      place.replaceChildren();
      throw error;
    }
  }
  return { place, run };
}

function step({ step: name, outcome, text, remedy }) {
  const [word, tone] = outcome === "skipped" && text !== NOT_TRIED ? ["not needed", ""] : OUTCOMES[outcome];
  return el("li", { class: outcome }, el("b", { textContent: STEPS[name] ?? name }), " ", pill(word, tone),
    text && text !== NOT_TRIED ? el("div", { textContent: sentence(text) }) : null, remedy ? el("div", { class: "remedy", textContent: sentence(remedy) }) : null);
}

function verdict(steps) {
  const failed = steps.find((each) => each.outcome === "failed");
  const all = steps.every((each) => each.outcome === "ok" || (each.step === "tls" && each.outcome === "skipped"));
  return el("p", { class: failed ? "error" : "said", textContent: failed ? "The station can’t be operated by this CSMS yet." : all ? "The station can work with this CSMS." : "What was tried works." });
}
