// SPDX-License-Identifier: Apache-2.0
// The field for one value of the device model: its kind follows from the variable's characteristics.

import { el } from "../look/dom.js";

const LISTS = new Set(["MemberList", "SequenceList"]);

// `limits` says in words what is allowed; `value` is what stands in the field.
export class Editor {
  constructor(label, attribute, characteristics, canBeSet, send) {
    Object.assign(this, { characteristics, known: attribute.value ?? "", dirty: false });
    this.allowed = (characteristics.valuesList ?? "").split(",").map((each) => each.trim()).filter(Boolean);
    this.limits = inWords(characteristics, this.allowed);
    this.text = el("span", { class: "text", textContent: this.known });
    if (!canBeSet) {
      this.node = this.text;
      return;
    }
    this.field = this.makeField(attribute);
    this.field.setAttribute("aria-label", label);
    this.field.addEventListener("input", () => { this.dirty = true; });
    this.field.addEventListener("keydown", (event) => { if (event.key === "Enter") send(); });
    this.node = el("span", { class: "pair" }, this.field, el("button", { type: "button", textContent: "Set", "aria-label": `Set ${label}`, onclick: send }));
  }

  makeField(attribute) {
    const { dataType, minLimit, maxLimit } = this.characteristics;
    const options = dataType === "boolean" ? ["true", "false"] : dataType === "OptionList" ? this.allowed : [];
    if (options.length) {
      const shown = options.includes(this.known) ? options : [this.known, ...options];
      return el("select", {}, ...shown.map((value) => el("option", { value, textContent: value, selected: value === this.known })));
    }
    const field = el("input", { value: this.known, autocomplete: "off", spellcheck: false });
    if (attribute.mutability === "WriteOnly") field.placeholder = "a new value";
    if (dataType === "integer" || dataType === "decimal") {
      Object.assign(field, { type: "number", step: dataType === "integer" ? 1 : "any", min: minLimit ?? "", max: maxLimit ?? "" });
    } else if (maxLimit) {
      field.maxLength = maxLimit;
    }
    return field;
  }

  get value() {
    return this.field.value.trim();
  }

  // Why the value would not be accepted, or "".
  problem() {
    if (this.field.validity.badInput) return "that is no number";
    const others = LISTS.has(this.characteristics.dataType) && this.allowed.length ? this.value.split(",").map((each) => each.trim()).filter((each) => each && !this.allowed.includes(each)) : [];
    if (others.length) return `not in the list: ${others.join(", ")}`;
    return this.field.checkValidity() ? "" : this.field.validationMessage;
  }

  // The station has another value now; what is being typed stays.
  take(value) {
    this.known = value;
    if (!this.field) this.text.textContent = value;
    else if (!this.dirty) this.field.value = value;
  }

  done() {
    this.dirty = false;
  }
}

function inWords({ dataType, unit, minLimit, maxLimit }, allowed) {
  const number = dataType === "integer" || dataType === "decimal";
  const range = number && minLimit !== undefined && maxLimit !== undefined ? `${minLimit} to ${maxLimit}`
    : number && minLimit !== undefined ? `at least ${minLimit}` : number && maxLimit !== undefined ? `at most ${maxLimit}`
    : maxLimit !== undefined ? `at most ${maxLimit} characters` : "";
  const list = LISTS.has(dataType) && allowed.length ? `of ${allowed.join(", ")}` : "";
  return [dataType, range, unit, list].filter(Boolean).join(" · ");
}
