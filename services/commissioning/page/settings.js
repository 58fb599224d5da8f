// SPDX-License-Identifier: Apache-2.0
// The device model: every variable of the station, found, changed, and shown as it changes.

import { cell, el, pill, scroller, table } from "../look/dom.js";
import { get, post } from "./api.js";
import { Field, form, openDialog } from "./forms.js";

const SHOWN = 150;

export async function show(place, page) {
  const rows = new Map();
  const load = async () => {
    const { variables } = await get("/api/variables");
    rows.clear();
    for (const each of variables) rows.set(key(each), { each, changed: false });
  };
  await load();
  const filter = el("input", { type: "search", placeholder: "find: component, variable, value", "aria-label": "Find settings" });
  const changeable = el("input", { type: "checkbox", checked: true });
  const count = el("span", { class: "past", role: "status" });
  const more = el("button", { type: "button", class: "quiet", textContent: "Show all" });
  const list = scroller("Settings");
  list.classList.add("settings");
  let all = false;

  function draw() {
    const wanted = filter.value.trim().toLowerCase().split(/\s+/);
    const found = [...rows.values()].filter(({ each }) => (!changeable.checked || each.mutability !== "ReadOnly") && wanted.every((word) => text(each).includes(word)));
    const shown = all ? found : found.slice(0, SHOWN);
    count.textContent = `${found.length} of ${rows.size}`;
    more.hidden = shown.length === found.length;
    const heads = [["Component"], ["Variable"], ["Value"], ...(page.isInstaller ? [[""]] : [])];
    const focused = document.activeElement?.closest("tr")?.dataset.key;
    list.replaceChildren(shown.length ? table(heads, shown.map(row)) : el("p", { class: "empty", textContent: "Nothing is found." }));
    focus(focused);
  }

  const focus = (wanted) => wanted && [...list.querySelectorAll("tr")].find((row) => row.dataset.key === wanted)?.querySelector("button")?.focus();

  function row({ each, changed }) {
    const value = each.value === null ? el("i", { textContent: "hidden" }) : el("code", { textContent: each.value === "" ? "–" : each.value });
    const cells = [cell(component(each), "wrap"), cell(variable(each), "wrap"), cell(el("span", {}, value, each.unit ? ` ${each.unit}` : "", changed ? pill("changed", "info") : ""), "wrap")];
    if (page.isInstaller) cells.push(cell(each.mutability === "ReadOnly" ? "" : changeButton(each), "number"));
    return el("tr", { "data-key": key(each) }, ...cells);
  }

  function changeButton(each) {
    const button = el("button", { type: "button", textContent: "Change", "aria-label": `Change ${component(each)} ${variable(each)}` });
    button.addEventListener("click", () => edit(each).addEventListener("close", () => focus(key(each))));
    return button;
  }

  for (const input of [filter, changeable]) input.addEventListener("input", () => { all = false; draw(); });
  more.addEventListener("click", () => { all = true; draw(); });
  page.on("variables", async ({ variables: news }) => {
    if (!news.length) await load(); // the station has started again
    for (const each of news) rows.set(key(each), { each, changed: true });
    draw();
  });
  place.append(el("section", { class: "card" },
    el("p", { textContent: "What is changed here goes through the same checks as what the CSMS changes, and what the CSMS changes is seen here at once." }),
    el("div", { class: "row" }, filter, el("label", { class: "check" }, changeable, "only what can be changed"), count), list, more));
  draw();
}

const key = (each) => JSON.stringify([each.component, each.component_instance, each.evse, each.connector, each.variable, each.instance, each.attribute]);
const text = (each) => `${component(each)} ${variable(each)} ${each.value ?? ""}`.toLowerCase();

function component({ component: name, component_instance: instance, evse, connector }) {
  return [name, instance && `(${instance})`, evse ? `EVSE ${evse}` : "", connector ? `connector ${connector}` : ""].filter(Boolean).join(" ");
}

function variable({ variable: name, instance, attribute }) {
  return [name, instance && `(${instance})`, attribute && attribute !== "Actual" ? attribute : ""].filter(Boolean).join(" ");
}

// --- changing one --------------------------------------------------------------------------------------------------------------

function edit(each) {
  const field = fieldOf(each);
  const cancel = el("button", { type: "button", textContent: "Cancel" });
  const dialog = openDialog(`${component(each)}: ${variable(each)}`, form({
    fields: [field], submit: "Save", extra: [cancel],
    action: async () => {
      const [result] = await setVariables([{ ...each, value: String(field.value) }]);
      if (isRefused(result)) return void field.complain(result.detail || result.reason || result.status);
      dialog.close();
    },
  }));
  cancel.addEventListener("click", () => dialog.close());
  field.input.focus();
  return dialog;
}

export const isRefused = ({ status }) => status !== "Accepted" && status !== "RebootRequired";

// The results in the order of the values, each a variable with its new `value`.
export async function setVariables(values) {
  const names = ["component", "component_instance", "variable", "instance", "evse", "connector", "attribute", "value"];
  const asked = values.map((each) => Object.fromEntries(names.filter((name) => each[name] !== undefined).map((name) => [name, each[name]])));
  return (await post("/api/variables", { values: asked })).results;
}

function fieldOf(each) {
  const label = each.unit ? `Value, ${each.unit}` : "Value";
  const hint = [each.expected, each.reboot ? "Counts from the next start of the station." : ""].filter(Boolean).join(" ");
  const known = { label, hint, value: each.value ?? "" };
  if (each.data_type === "boolean") return new Field({ ...known, options: [["true", "true"], ["false", "false"]] });
  if (each.data_type === "OptionList" && each.values?.length) return new Field({ ...known, options: each.values.map((value) => [value, value]) });
  if (each.mutability === "WriteOnly") return new Field({ ...known, type: "password", autocomplete: "new-password" });
  if (each.data_type === "integer") return new Field({ ...known, type: "text", inputMode: "numeric" });
  return new Field(known);
}
