// SPDX-License-Identifier: Apache-2.0
// Restart, switching off, factory reset.

import { el } from "../look/dom.js";
import { get, post } from "./api.js";
import { Field, button, confirm } from "./forms.js";

export function show(place) {
  place.append(restartCard(), offCard(), resetCard());
}

const card = (title, ...children) => el("section", { class: "card" }, el("h2", { textContent: title }), ...children);

function restartCard() {
  const ocpp = button("Restart the OCPP service", async () => {
    await post("/api/restart", { what: "service" });
    return "It restarts.";
  });
  const idle = new Field({ label: "Wait for the end of the sessions", type: "checkbox", value: true });
  const station = button("Restart the station", async () => {
    const text = idle.value ? "It restarts when no car is charging." : "Sessions that run are ended.";
    if (!(await confirm({ title: "Restart the station?", text, yes: "Restart" }))) return "";
    await post("/api/restart", { what: "station", on_idle: idle.value });
    return "The station restarts. This page comes back by itself.";
  });
  return card("Restart", el("p", { textContent: "A restart of the OCPP service takes about two seconds; a car that charges goes on charging." }), el("p", {}, ocpp),
    el("p", { textContent: "A restart of the station switches off every outlet for about a minute." }), idle.node, el("p", {}, station));
}

function offCard() {
  const off = button("Switch the station off", async () => {
    const text = "Sessions are ended, the contactors open, the board goes off. It comes back when the mains are switched off and on again.";
    if (!(await confirm({ title: "Switch the station off?", text, yes: "Switch off" }))) return "";
    await post("/api/power-off");
    return "The station goes off.";
  });
  return card("Switch off", el("p", { textContent: "Before the cabinet is opened. Then lock the main switch, and check that there is no voltage." }), el("p", {}, off));
}

function resetCard() {
  const force = new Field({ label: "Also while a car is charging: its session is lost", type: "checkbox" });
  const reset = button("Factory reset", async () => {
    const { identity } = await get("/api/station");
    const text = "Settings, network profiles, certificates and keys, passwords and what waits to be sent to the CSMS are removed. The station starts as it left the factory, with the password of the label. Firmware, the security log, the network and the limit of the site stay.";
    if (!(await confirm({ title: "Reset the station to factory settings?", text, yes: "Reset everything", word: identity }))) return "";
    await post("/api/factory-reset", { identity, force: force.value });
    return "The station is reset. Sign in with the password of the label.";
  }, { tone: "danger" });
  return card("Factory reset", el("p", { textContent: "For a station that moves to another operator." }), force.node, el("p", {}, reset));
}
