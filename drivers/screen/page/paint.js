// SPDX-License-Identifier: Apache-2.0
// Brings the page in line with a tree: only what differs is touched, so that focus and animations stay, and a display
// that is updated for years does not grow. A string is text, never HTML.

const SVG = "http://www.w3.org/2000/svg";
const OF_SVG = new Set(["svg", "g", "path", "circle", "polyline", "polygon", "line", "rect"]);

/** A node of the tree: `h("p", { class: "hint" }, "text", h("b", {}, "more"))`; children that are null are left out. */
export function h(tag, attributes = {}, ...children) {
  const present = children.flat().filter((child) => child !== null && child !== undefined && child !== "");
  return { tag, attributes, children: present };
}

/** Make `tree` the only child of `parent`. */
export function paint(parent, tree) {
  paintChildren(parent, [tree]);
}

function paintChildren(parent, children) {
  children.forEach((child, at) => {
    const present = parent.childNodes[at];
    if (typeof child === "string") paintText(parent, present, child);
    else if (present?.localName === child.tag && present.dataset?.key === child.attributes["data-key"]) fill(present, child);
    else place(parent, present, make(child));
  });
  while (parent.childNodes.length > children.length) parent.lastChild.remove();
}

function paintText(parent, present, text) {
  if (present?.nodeType !== Node.TEXT_NODE) place(parent, present, document.createTextNode(text));
  else if (present.data !== text) present.data = text;
}

function place(parent, present, node) {
  if (present) parent.replaceChild(node, present);
  else parent.append(node);
}

function make(tree) {
  const node = OF_SVG.has(tree.tag) ? document.createElementNS(SVG, tree.tag) : document.createElement(tree.tag);
  fill(node, tree);
  return node;
}

function fill(node, { attributes, children }) {
  for (const name of node.getAttributeNames()) {
    if (attributes[name] === undefined || attributes[name] === null) node.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  paintChildren(node, children);
}
