// SPDX-License-Identifier: Apache-2.0
// The device model of the chosen station as a table: found, read and set, a page of rows at a time.

import { $, api, cell, el, pill, scroller, table } from "../look/dom.js";
import { Editor } from "./editor.js";
import { ask, inWords, newId, Operation, Outcome, whyMute } from "./operations.js";

const PAGE = 25;
const HEADS = [["Component"], ["Variable"], ["Value"], ["About it"], ["Result"]];

const name = ({ name, instance }) => (instance ? `${name} [${instance}]` : name);
const placeOf = (component) => (component.evse ? `${component.name === "EVSE" ? "number" : "EVSE"} ${component.evse.id}${component.evse.connectorId ? `, connector ${component.evse.connectorId}` : ""}` : "");
const keyOf = ({ component, variable }, type) => JSON.stringify([component, variable, type]).toLowerCase();

// One attribute of a variable. Its node is made when it is shown; what someone has typed stays.
class Row {
  constructor(model, entry, attribute) {
    this.model = model;
    this.take(entry, attribute);
  }

  take(entry, attribute) {
    Object.assign(this, { entry, attribute });
    const { component, variable } = entry;
    this.words = `${name(component)} ${placeOf(component)} ${name(variable)} ${attribute.value ?? ""} ${component.name}.${variable.name}`.toLowerCase();
    this.editor?.take(attribute.value ?? "");
    this.facts?.replaceChildren(...this.about());
  }

  get canBeSet() {
    return this.attribute.mutability !== "ReadOnly" && !this.attribute.constant;
  }

  get node() {
    this.made ??= this.make();
    return this.made;
  }

  make() {
    const { component, variable } = this.entry;
    this.result = el("span", { role: "status" });
    this.editor = new Editor(`${name(component)} ${name(variable)} ${placeOf(component)}`.trim(), this.attribute, this.entry.variableCharacteristics ?? {}, this.canBeSet, () => this.set());
    const place = placeOf(component);
    return el("tr", {},
      cell(el("span", {}, name(component), ...(place ? [el("small", { textContent: ` ${place}` })] : [])), "wrap"),
      cell(el("span", {}, name(variable), ...(this.attribute.type && this.attribute.type !== "Actual" ? [el("small", { textContent: ` ${this.attribute.type}` })] : [])), "wrap"),
      cell(this.editor.node, "value"), cell((this.facts = el("span", {}, ...this.about())), "wrap"), cell(this.result, "wrap result"));
  }

  about() {
    const shown = [];
    if (this.attribute.mutability === "WriteOnly") shown.push(pill("cannot be read", "warn"));
    if (!this.canBeSet) shown.push(pill("read only"));
    else if (this.attribute.persistent === false) shown.push(pill("lost at a restart"));
    const monitors = this.entry.monitors ?? [];
    if (monitors.length) shown.push(pill(monitors.map((each) => `${each.type} ${each.value}, severity ${each.severity}`).join("; "), "info"));
    return [...shown, el("small", { textContent: ` ${this.editor.limits}` })];
  }

  async set() {
    const problem = whyMute(this.model.state.stations.get(this.model.state.chosen)) || this.editor.problem();
    if (problem) return this.show({ good: false, text: problem });
    const { component, variable } = this.entry;
    const data = { component, variable, attributeValue: this.editor.value, ...(this.attribute.type ? { attributeType: this.attribute.type } : {}) };
    this.show({ good: true, text: "asked; no answer yet" });
    const outcome = await ask(this.model.state.chosen, "SetVariables", { setVariableData: [data] });
    const result = outcome.result?.setVariableResult?.[0];
    const said = outcome.good && result ? inWords("SetVariables", result.attributeStatus, result.attributeStatusInfo) : outcome;
    if (said.good) this.editor.done();
    this.show(said);
  }

  show({ good, text }) {
    this.result.replaceChildren(pill(text, good ? "good" : "bad"));
  }
}

export class DeviceModel {
  constructor(state) {
    Object.assign(this, { state, rows: new Map(), page: 0, of: null });
    const outcome = new Outcome();
    this.read = new Operation("Read it from the station", "", outcome, () => this.ask());
    this.monitors = new Operation("Read its monitors", "", outcome, () => ask(state.chosen, "GetMonitoringReport", { requestId: newId() }));
    this.progress = el("span", { class: "muted", role: "status" });
    this.filter = el("input", { type: "search", placeholder: "find: component, variable, value", "aria-label": "Find variables", oninput: () => this.first() });
    this.which = el("select", { "aria-label": "Which variables", oninput: () => this.first() },
      ...[["", "all variables"], ["set", "can be set"], ["evse", "of an EVSE"], ["monitored", "monitored"]].map(([value, textContent]) => el("option", { value, textContent })));
    this.turn = [-1, 1].map((by) => el("button", { type: "button", class: "quiet", textContent: by < 0 ? "Previous" : "Next", onclick: () => { this.page += by; this.render(); } }));
    this.where = el("span", { class: "muted" });
    this.pages = el("div", { class: "row pages", hidden: true }, this.turn[0], this.where, this.turn[1]);
    this.found = el("div", { class: "row", hidden: true }, this.filter, this.which);
    this.place = scroller("Variables");
    this.place.hidden = true;
    $("model").replaceChildren(el("div", { class: "row" }, this.read.node, this.monitors.node, this.progress), outcome.node, this.found, this.place, this.pages);
    $("model-card").addEventListener("toggle", () => this.load());
  }

  // What the bench holds of the chosen station.
  async load() {
    const station = this.state.chosen;
    if (this.of !== station) {
      this.of = station;
      this.rows.clear();
      this.page = 0;
      this.showProgress({ request_id: null });
      this.render();
    }
    if (!station || !$("model-card").open) return;
    const { progress, variables } = await api(`/api/stations/${encodeURIComponent(station)}/variables`);
    if (this.state.chosen !== station) return;
    this.showProgress(progress);
    const old = this.rows;
    this.rows = new Map();
    for (const entry of variables) this.put(entry, old);
    this.render();
  }

  put(entry, old) {
    for (const attribute of entry.variableAttribute) {
      const key = keyOf(entry, attribute.type);
      const row = old.get(key);
      row?.take(entry, attribute);
      this.rows.set(key, row ?? new Row(this, entry, attribute));
    }
  }

  ask() {
    return ask(this.state.chosen, "GetBaseReport", { requestId: newId(), reportBase: "FullInventory" });
  }

  showProgress({ request_id: asked, parts, variables, complete, cut }) {
    this.progress.textContent = asked === null ? "not read yet" : `${variables} variables${complete ? "" : `, ${parts} parts so far`}${cut ? "; there are more than the bench holds" : ""}`;
    $("model-count").textContent = asked === null ? "" : `${variables} variables`;
  }

  // A part of a report has come.
  onReport(progress) {
    this.showProgress(progress);
    if (progress.complete) this.load();
  }

  onVariables(entries) {
    for (const entry of entries) if (this.rows.has(keyOf(entry, entry.variableAttribute[0]?.type))) this.put(entry, this.rows);
  }

  update(station) {
    this.read.allow(whyMute(station));
    this.monitors.allow(whyMute(station) || (this.rows.size ? "" : "its variables are not read yet"));
  }

  first() {
    this.page = 0;
    this.render();
  }

  isWanted(row, text) {
    const which = { set: row.canBeSet, evse: row.entry.component.evse, monitored: row.entry.monitors?.length }[this.which.value] ?? true;
    return which && text.every((word) => row.words.includes(word));
  }

  render() {
    const text = this.filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const found = [...this.rows.values()].filter((row) => this.isWanted(row, text));
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    this.page = Math.min(Math.max(this.page, 0), last);
    for (const part of [this.found, this.place]) part.hidden = !this.rows.size;
    this.pages.hidden = !last;
    this.where.textContent = `page ${this.page + 1} of ${last + 1}, ${found.length} variables`;
    this.turn[0].disabled = this.page === 0;
    this.turn[1].disabled = this.page === last;
    const shown = found.slice(this.page * PAGE, (this.page + 1) * PAGE).map((row) => row.node);
    this.place.replaceChildren(shown.length ? table(HEADS, shown, "cards") : el("p", { class: "empty", textContent: "No variable matches." }));
  }
}
