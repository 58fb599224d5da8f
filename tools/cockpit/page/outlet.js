// SPDX-License-Identifier: Apache-2.0
// One outlet: its display as the station paints it, its car and cable, its card, its chart.

import { el, pill } from "/look/dom.js";
import { paint } from "/display/paint.js";
import { render } from "/display/render.js";
import { Chart } from "/static/chart.js";

const CARDS = [["04A1B2C3D4E580", "accepted card"], ["04FFFFFFFFFF80", "unknown card"]];
const TONES = { Available: "good", Occupied: "info", Faulted: "bad", Unavailable: "warn" };

export class Outlet {
  constructor(evse, send) {
    Object.assign(this, { evse, send, confirming: false, page: "" });
    this.status = el("span", { class: "pill" });
    this.glass = el("div", { class: "glass", role: "group", "aria-label": `Display ${evse}` });
    this.garage = el("div", { class: "garage" });
    this.chart = new Chart(`Outlet ${evse}: power, voltage, current and battery over the last minutes`);
    this.node = el("section", { class: "card outlet", "data-evse": String(evse) },
      el("h2", {}, `Outlet ${evse}`, this.status), this.glass, this.buildGarage(), this.chart.node);
    this.glass.addEventListener("click", (event) => this.touch(event.target.closest("[data-action]")?.dataset.action));
  }

  buildGarage() {
    const op = (name, fields = {}) => () => this.send(name, { evse: this.evse, ...fields });
    this.plug = el("button", { type: "button", class: "plug", draggable: true, onclick: () => this.togglePlug(), title: "drag the cable to the car, or click" });
    this.car = el("button", { type: "button", class: "car", textContent: "car", draggable: true, onclick: () => this.togglePlug(), title: "drag the car to the cable, or click" });
    for (const [node, other] of [[this.plug, this.car], [this.car, this.plug]]) drag(node, other, () => this.togglePlug());
    this.soc = el("input", { type: "number", min: 0, max: 100, value: 20, "aria-label": "state of charge of the car that comes, in %" });
    this.card = el("select", { "aria-label": "card" }, ...CARDS.map(([value, textContent]) => el("option", { value, textContent })));
    this.misbehave = el("select", { "aria-label": "what the car does wrong", oninput: ({ target }) => this.send("car", { evse: this.evse, misbehave: target.value }) },
      ...["none", "refuse_precharge", "over_voltage_request", "drop_pilot", "hold_current"].map((value) => el("option", { value, textContent: value === "none" ? "the car behaves" : value.replaceAll("_", " ") })));
    this.suspended = el("input", { type: "checkbox", oninput: ({ target }) => this.send("car", { evse: this.evse, suspended: target.checked }) });
    this.garage.append(this.plug, this.car, el("label", { class: "check" }, "at", this.soc, "%"), this.card,
      el("button", { type: "button", textContent: "hold to the reader", onclick: () => this.send("present_card", { evse: this.evse, uid: this.card.value }) }),
      el("label", { class: "check" }, this.suspended, "car pauses"), this.misbehave,
      el("button", { type: "button", textContent: "pull the plug", title: "breaks the latch under load", onclick: op("plug_out", { force: true }) }));
    return this.garage;
  }

  togglePlug() {
    if (this.plugged) this.send("plug_out", { evse: this.evse });
    else this.send("plug_in", { evse: this.evse, car: { soc_percent: Number(this.soc.value) || 20 } });
  }

  touch(action) {
    if (action === "select" || action === "ask") this.send("select_evse", { evse: this.evse });
    if (action === "stop") this.send("press_stop", { evse: this.evse });
    this.confirming = action === "ask";
    if (this.latest) this.drawGlass(...this.latest);
  }

  update(evse, screen, language, { powered, speed }) {
    this.plugged = evse.plugged;
    const words = [evse.status, evse.phase.replaceAll("_", " "), ...evse.faults.map((fault) => fault.replaceAll("_", " "))];
    const status = pill(words.join(" · "), evse.faults.length ? "bad" : TONES[evse.status]);
    this.status.replaceWith(status);
    this.status = status;
    this.plug.textContent = evse.plugged ? (evse.locked ? "plug, locked in the car" : "plug in the car") : "cable";
    this.suspended.disabled = this.misbehave.disabled = !evse.plugged;
    if (screen?.page !== this.page) this.confirming = false;
    this.page = screen?.page;
    this.latest = [screen, language, powered];
    this.drawGlass(...this.latest);
    this.chart.add(evse, speed);
  }

  drawGlass(screen, language, powered) {
    const dark = !powered || !screen?.model;
    this.glass.style.background = dark ? "#0b0f13" : "";
    if (dark) this.glass.replaceChildren();
    else paint(this.glass, render(screen.model, language, { confirming: this.confirming }));
  }
}

// A thing that can be dragged to another one, and takes it.
function drag(node, other, meet) {
  node.addEventListener("dragstart", (event) => { event.dataTransfer.setData("text/plain", "cable"); node.dragged = true; });
  node.addEventListener("dragend", () => { node.dragged = false; });
  node.addEventListener("dragover", (event) => { if (other.dragged) { event.preventDefault(); node.classList.add("over"); } });
  node.addEventListener("dragleave", () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => { event.preventDefault(); node.classList.remove("over"); if (other.dragged) meet(); });
}
