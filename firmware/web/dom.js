// SPDX-License-Identifier: Apache-2.0
// Small helpers of every page. Text is always set as text: nothing from outside is parsed as HTML.

export const $ = (id) => document.getElementById(id);

export function el(tag, properties = {}, ...children) {
  const { class: name, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  if (name) node.className = name;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
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
