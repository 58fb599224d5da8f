// SPDX-License-Identifier: Apache-2.0
// Power (left axis, kW) and state of charge (right axis, %) of one session against its time.

import { el, span } from "../look/dom.js";

const NS = "http://www.w3.org/2000/svg";
const HEIGHT = 168, LEFT = 34, RIGHT = 34, TOP = 10, BOTTOM = 20;

function svg(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function niceTop(value) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * unit).find((top) => top >= value * 1.04);
}

function niceStep(seconds) {
  return [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600].find((step) => seconds / step <= 6) ?? 86400;
}

export class Chart {
  constructor() {
    this.points = [];
    this.svg = svg("svg", { role: "img", "aria-label": "power and state of charge over time" });
    this.tip = el("div", { class: "tip", hidden: true });
    this.node = el("div", { class: "chart" }, this.svg, this.tip);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.leave());
    new ResizeObserver(() => this.draw()).observe(this.node);
  }

  update(series, started) {
    this.started = Date.parse(started) / 1000;
    this.points = series
      .map((point) => ({ ...point, at: Date.parse(point.t) / 1000 }))
      .filter((point) => Number.isFinite(point.at) && (point.power_w !== null || point.soc_percent !== null))
      .sort((a, b) => a.at - b.at);
    this.draw();
  }

  draw() {
    const width = this.node.clientWidth;
    if (!width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren();
    const first = this.first();
    const length = Math.max((this.points.at(-1)?.at ?? 0) - first, 30);
    const top = niceTop(Math.max(10, ...this.points.map((point) => (point.power_w ?? 0) / 1000)));
    const floor = HEIGHT - BOTTOM;
    this.x = (at) => LEFT + ((at - first) / length) * (width - LEFT - RIGHT);
    this.y = (share) => floor - share * (floor - TOP);
    this.drawAxes(width, floor, length, first, top);
    this.drawLine("power", this.points.filter((p) => p.power_w !== null), (p) => p.power_w / 1000 / top, floor);
    this.drawLine("soc", this.points.filter((p) => p.soc_percent !== null), (p) => p.soc_percent / 100, floor);
    this.cursor = this.svg.appendChild(svg("line", { class: "cursor", y1: TOP, y2: floor, visibility: "hidden" }));
  }

  // A session's time begins with the session, unless its start is not known.
  first() {
    const sampled = this.points[0]?.at ?? 0;
    return this.started <= sampled ? this.started : sampled;
  }

  drawAxes(width, floor, length, first, top) {
    const hasSoc = this.points.some((point) => point.soc_percent !== null);
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      const y = this.y(share);
      this.svg.append(svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y, y2: y }));
      if (share % 0.5 === 0) {
        this.svg.append(svg("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, String(Math.round(top * share * 10) / 10)));
        if (hasSoc) this.svg.append(svg("text", { x: width - RIGHT + 5, y: y + 4 }, `${share * 100}%`));
      }
    }
    this.svg.append(svg("text", { x: LEFT + 4, y: TOP + 9 }, "kW"));
    const step = niceStep(length);
    for (let at = 0; at <= length; at += step) {
      const anchor = at === 0 ? "start" : "middle";
      this.svg.append(svg("text", { x: this.x(first + at), y: floor + 15, "text-anchor": anchor }, span(at)));
    }
  }

  drawLine(name, points, share, floor) {
    if (!points.length) return;
    const path = points.map((p) => `${this.x(p.at).toFixed(1)},${this.y(Math.max(0, Math.min(1, share(p)))).toFixed(1)}`);
    if (name === "power") {
      const ends = [`${this.x(points[0].at).toFixed(1)},${floor}`, `${this.x(points.at(-1).at).toFixed(1)},${floor}`];
      this.svg.append(svg("path", { class: "power-area", d: `M${ends[0]}L${path.join("L")}L${ends[1]}Z` }));
    }
    this.svg.append(svg("path", { class: `${name}-line`, d: `M${path.join("L")}` }));
  }

  point(event) {
    if (!this.points.length || !this.cursor) return;
    const box = this.svg.getBoundingClientRect();
    const mouse = event.clientX - box.left;
    const near = this.points.reduce((a, b) => (Math.abs(this.x(b.at) - mouse) < Math.abs(this.x(a.at) - mouse) ? b : a));
    const x = this.x(near.at);
    for (const name of ["x1", "x2"]) this.cursor.setAttribute(name, x);
    this.cursor.setAttribute("visibility", "visible");
    const texts = [span(near.at - this.first())];
    if (near.power_w !== null) texts.push(`${(near.power_w / 1000).toFixed(1)} kW`);
    if (near.soc_percent !== null) texts.push(`${near.soc_percent.toFixed(0)} %`);
    if (near.voltage_v !== null) texts.push(`${near.voltage_v.toFixed(0)} V`);
    if (near.current_a !== null) texts.push(`${near.current_a.toFixed(0)} A`);
    this.tip.textContent = texts.join("  ·  ");
    this.tip.hidden = false;
    const room = box.width - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(room, x - this.tip.offsetWidth / 2))}px`;
  }

  leave() {
    this.tip.hidden = true;
    this.cursor?.setAttribute("visibility", "hidden");
  }
}
