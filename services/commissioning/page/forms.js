// SPDX-License-Identifier: Apache-2.0
// Parts of forms: fields with their hint and their error, buttons that wait for the station, questions.

import { el } from "../look/dom.js";

let numbers = 0;

// A field: {label, hint, type, value, options, ...properties of the input}. `options` make it a choice: [value, text].
export class Field {
  constructor({ label, hint, type = "text", value = "", options = null, rows = 0, ...rest }) {
    const id = `field-${++numbers}`;
    this.error = el("small", { id: `${id}-error`, class: "error" });
    const common = { id, ...rest, "aria-describedby": `${id}-hint ${id}-error` };
    if (options) this.input = el("select", common, ...options.map(([each, text]) => el("option", { value: each, textContent: text })));
    else if (rows) this.input = el("textarea", { rows, spellcheck: false, ...common });
    else this.input = el("input", { type, autocomplete: "off", spellcheck: false, ...common });
    this.hint = el("small", { id: `${id}-hint`, textContent: hint ?? "" });
    const name = el("label", { htmlFor: id, textContent: label });
    if (type === "checkbox") {
      this.input.checked = Boolean(value);
      this.node = el("div", { class: "field tick" }, this.input, name, this.hint, this.error);
    } else {
      if (!options || value !== "") this.input.value = value;
      this.node = el("div", { class: "field" }, name, this.input, this.hint, this.error);
    }
    this.input.addEventListener("input", () => this.complain(""));
  }

  get value() {
    return this.input.type === "checkbox" ? this.input.checked : this.input.type === "password" ? this.input.value : this.input.value.trim();
  }

  complain(text) {
    this.error.textContent = text;
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
    return Boolean(text);
  }
}

// A form. `action` is awaited with its buttons off; what it throws is shown, what it returns is said.
export function form({ fields = [], submit, action, children = [], tone = "primary", extra = [] }) {
  const said = el("p", { class: "said", role: "status" });
  const wrong = el("p", { class: "error", role: "alert" });
  const button = el("button", { type: "submit", class: tone, textContent: submit });
  const node = el("form", { noValidate: true }, ...fields.map((field) => field.node), ...children,
    el("div", { class: "row" }, button, ...extra), said, wrong);
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    said.textContent = wrong.textContent = "";
    const empty = fields.filter((field) => field.input.required && field.complain(field.value ? "" : "This is needed."));
    if (empty.length) return empty[0].input.focus();
    await waiting(button, async () => { said.textContent = (await action()) ?? ""; }, (text) => { wrong.textContent = text; });
  });
  return node;
}

// Keeps a button off until `action` is over; its error goes to `complain` as text.
export async function waiting(button, action, complain) {
  button.disabled = true;
  button.setAttribute("aria-busy", "true");
  try {
    await action();
  } catch (error) {
    complain(sentence(error.message));
  } finally {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  }
}

// A button with what came of it beside it.
export function button(text, action, { tone = "" } = {}) {
  const said = el("span", { class: "said", role: "status" });
  const node = el("button", { type: "button", class: tone, textContent: text });
  node.addEventListener("click", () => {
    said.className = "said";
    said.textContent = "";
    waiting(node, async () => { said.textContent = (await action()) ?? ""; }, (wrong) => { said.className = "error"; said.textContent = wrong; });
  });
  return el("span", { class: "with-answer" }, node, said);
}

// With a capital letter, unless it begins with a name or an address, and a full stop.
export function sentence(text) {
  const whole = /[.!?…]$/.test(text) ? text : `${text}.`;
  return /^[a-z]+[ ,:]/.test(whole) ? whole[0].toUpperCase() + whole.slice(1) : whole;
}

// Asks before something is done. `word`: what has to be typed first. Returns a promise of true or false.
export function confirm({ title, text, yes, word = "", tone = "danger" }) {
  const typed = word ? new Field({ label: `Type “${word}” to confirm`, required: true }) : null;
  const cancel = el("button", { type: "button", textContent: "Cancel" });
  return new Promise((resolve) => {
    const dialog = openDialog(title, el("p", { textContent: text }), form({
      fields: typed ? [typed] : [], submit: yes, tone, extra: [cancel],
      action: () => {
        if (typed && typed.value !== word) return void typed.complain(`Type ${word}.`);
        dialog.close("yes");
      },
    }));
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
    if (!typed) cancel.focus();
  });
}

// The end of a step of the set-up that has nothing to save.
export const goOn = (wizard) => button("Go on", () => wizard.done(), { tone: "primary" });

export function openDialog(title, ...children) {
  const id = `dialog-${++numbers}`;
  const dialog = el("dialog", { "aria-labelledby": id }, el("h2", { id, textContent: title }), ...children);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

// Offers `content`, a text or a blob, as a file.
export function download(name, content) {
  const url = URL.createObjectURL(new Blob([content]));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// A file of at most `most` bytes as text.
export async function textOf(file, most = 64 * 1024) {
  if (file.size > most) throw new Error(`${file.name} has ${file.size} bytes; at most ${most} are read`);
  return file.text();
}
