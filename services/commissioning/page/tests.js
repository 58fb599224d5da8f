// SPDX-License-Identifier: Apache-2.0
// Tests of the hardware, without a car.

import { el, pill } from "../look/dom.js";
import { get, post } from "./api.js";
import { button, confirm } from "./forms.js";

const STATES = { idle: ["not run", ""], running: ["running", "info"], passed: ["passed", "good"], failed: ["failed", "bad"] };

export async function show(place, page) {
  const list = el("div", { class: "columns" });
  const cards = new Map();
  place.append(el("p", { textContent: "No car may be plugged in. While a test runs, its outlet is out of service." }), list);
  const draw = ({ tests }) => {
    for (const test of tests) {
      if (!cards.has(test.name)) {
        cards.set(test.name, card(test));
        list.append(cards.get(test.name).node);
      }
      cards.get(test.name).update(test);
    }
  };
  page.on("tests", draw);
  draw(await get("/api/tests"));
}

function card(test) {
  const state = el("span"), text = el("div", { class: "past", role: "status" });
  const start = button("Run", async () => {
    if (test.question && !(await confirm({ title: test.title, text: test.question, yes: "Run", tone: "primary" }))) return;
    await post(`/api/tests/${test.name}`);
  });
  const node = el("section", { class: "card test" }, el("h2", {}, test.title, " ", state), el("p", { textContent: test.text }), start, text);
  return {
    node,
    update: (now) => {
      state.replaceChildren(pill(...STATES[now.state]));
      text.textContent = now.result ?? "";
    },
  };
}
