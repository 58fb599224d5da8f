// SPDX-License-Identifier: Apache-2.0
// What concerns the whole cabinet: emergency stop, faults, network, clock, power, processes, devices.

import { el } from "/look/dom.js";

const FAULTS = ["ground_fault", "isolation", "over_temperature", "contactor_welded", "power_module", "meter", "vehicle_link", "connector_lock", "card_reader", "screen", "door_open"];
const ofStation = new Set(["card_reader", "door_open"]);

const button = (textContent, onclick, style = "") => el("button", { type: "button", textContent, onclick, class: style });
const group = (name, ...children) => el("fieldset", {}, el("legend", { textContent: name }), el("div", { class: "row" }, ...children));
const choice = (name, values) => el("select", { "aria-label": name }, ...values.map((value) => el("option", { value, textContent: String(value).replaceAll("_", " ") })));

export class Cabinet {
  constructor(place, send) {
    this.send = send;
    this.stop = button("Emergency stop", () => this.toggle("emergency_stop"), "stop");
    this.door = button("Open the door", () => this.toggle("door_open"));
    this.fault = choice("fault", FAULTS);
    this.where = choice("outlet of the fault", [1, 2]);
    this.power = button("", () => send(this.state.powered ? "power_off" : "power_on"));
    this.commissioning = el("a", { target: "_blank", rel: "noopener" });
    this.device = choice("device", []);
    this.devices = group("Devices on their wires", this.device, button("unplug", () => this.plug(false)), button("plug in", () => this.plug(true)));
    place.className = "controls";
    place.append(
      group("Safety", this.stop, this.door),
      group("Fault", this.fault, this.where, button("raise", () => this.raise("fault")), button("clear", () => this.raise("clear_fault"))),
      group("Network to the CSMS", ...[["up", "up"], ["down", "cable out"], ["refuse", "refused"], ["blackhole", "swallowed"], ["close", "closed once"]].map(([mode, text]) => button(text, () => send("network", { mode })))),
      group("Clock", button("lost", () => send("clock", { lost: true })), button("an hour ahead", () => send("clock", { offset_s: 3600 })), button("right", () => send("clock", { lost: false, offset_s: 0 }))),
      group("Power", this.power, button("off and on", () => send("power_cycle")), button("reset button", () => send("reboot"))),
      group("Kill a process", ...["hal", "ocpp", "commissioning"].map((kill) => button(kill, () => send("process", { kill })))),
      this.devices, group("Installer's page", this.commissioning));
  }

  raise(op) {
    const code = this.fault.value;
    this.send(op, ofStation.has(code) ? { code } : { code, evse: Number(this.where.value) });
  }

  toggle(code) {
    this.send(this.has(code) ? "clear_fault" : "fault", { code });
  }

  has = (code) => this.state.faults.includes(code) || this.state.evses.some((evse) => evse.faults.includes(code));

  plug(plugged) {
    this.send("device", { device: this.device.value, plugged });
  }

  update(state) {
    this.state = state;
    this.stop.textContent = this.has("emergency_stop") ? "Release the emergency stop" : "Emergency stop";
    this.door.textContent = this.has("door_open") ? "Close the door" : "Open the door";
    this.power.textContent = state.powered ? "mains off" : "mains on";
    this.commissioning.textContent = this.commissioning.href = state.commissioning ?? "";
    if (!state.commissioning) this.commissioning.textContent = "not there yet";
    const names = Object.keys(state.devices ?? {});
    this.devices.hidden = !names.length;
    if (this.device.length !== names.length) this.device.replaceChildren(...names.map((value) => el("option", { value, textContent: value })));
    if (this.where.length !== state.evses.length) this.where.replaceChildren(...state.evses.map(({ evse }) => el("option", { value: evse, textContent: `outlet ${evse}` })));
  }
}
