// SPDX-License-Identifier: Apache-2.0
// Small helpers of every page. Text is always set as text: nothing from outside is parsed as HTML.

export const $ = (id) => document.getElementById(id);

// An element; `class` and names with a hyphen are attributes, all others properties. Null children are left out.
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name !== "class" && !name.includes("-")) node[name] = value;
    else if (value) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const pill = (text, tone = "") => el("span", { class: `pill ${tone ?? ""}`, textContent: text });

export const cell = (content, style = "") => el("td", { class: style }, content);

// `heads` are [name, class] of each column, `rows` elements of the body. With the style `cards` each row is a card on a
// phone; the roles are named because a table that is laid out otherwise loses them.
export function table(heads, rows, style = "") {
  const head = el("tr", { role: "row" }, ...heads.map(([name, style]) => el("th", { class: style ?? "", role: "columnheader", scope: "col", textContent: name })));
  for (const row of rows) {
    row.role = "row";
    [...row.cells].forEach((cell, column) => { cell.role = "cell"; cell.dataset.label = heads[column]?.[0] ?? ""; });
  }
  return el("table", { class: style, role: "table" }, el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }, ...rows));
}

// Makes `nodes` the children of `list`. Only what is new moves: a button that has the focus keeps it.
export function place(list, nodes) {
  const wanted = new Set(nodes);
  for (const node of [...list.children]) if (!wanted.has(node)) node.remove();
  let next = list.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else list.insertBefore(node, next);
  }
}

// Copies a text; a page that came without TLS from another machine has no clipboard of its own. Returns whether it worked.
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = el("textarea", { value: text, readOnly: true });
    const focused = document.activeElement;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    focused?.focus();
    return done;
  }
}

// What may be wider than the page: it scrolls, with the keyboard, too.
export const scroller = (name, ...children) => el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": name }, ...children);

// A list of properties: {name: text or node}; those whose name is in `wide` take two columns.
export function facts(shown, wide = new Set()) {
  return el("dl", { class: "facts" }, ...Object.entries(shown).map(([name, value]) =>
    el("div", { class: wide.has(name) ? "wide" : "" }, el("dt", { textContent: name }), el("dd", {}, value instanceof Node ? value : String(value)))));
}

export async function api(path, options = {}) {
  const { body, ...rest } = options;
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { ...rest, headers, body: body && JSON.stringify(body) });
  const data = await response.json();
  if (!response.ok) throw new Error(`${data.error}: ${data.detail}`);
  return data;
}

const two = (number) => String(number).padStart(2, "0");

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 3600) return `${Math.floor(s / 60)}:${two(s % 60)}`;
  if (s < 86400) return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export const secondsSince = (iso) => (Date.now() - Date.parse(iso)) / 1000;

export function ago(iso) {
  if (!iso) return "never";
  const s = secondsSince(iso);
  return s < 2 ? "just now" : s < 60 ? `${Math.floor(s)} s ago` : `${span(s)} ago`;
}

export function clock(iso) {
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? String(iso).slice(0, 19) : at.toLocaleTimeString("en-GB");
}

export function dayAndClock(iso) {
  if (!iso) return "–";
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  return today ? clock(iso) : `${at.toLocaleDateString("en-CA")} ${clock(iso)}`;
}

export const fixed = (value, digits) => (value === null || value === undefined ? "–" : value.toFixed(digits));
