// SPDX-License-Identifier: Apache-2.0
// The last minutes of an outlet, all on one scale: kilowatts, percent, half the volts, amperes; the line is the cabinet's
// 400 kW. The picture begins with half a minute and grows to five.

import { el, fixed } from "/look/dom.js";

const NS = "http://www.w3.org/2000/svg";
const LEAST_S = 30, KEPT_S = 300, TOP = 500, HEIGHT = 150, WIDTH = 600, LIMIT = 400;
const LINES = [
  ["power_kw", "power", (evse) => evse.power_kw, (v) => v, "kW", 1],
  ["offered_kw", "offered", (evse) => evse.offered_kw, (v) => v, "kW", 0],
  ["voltage_v", "voltage / 2", (evse) => evse.voltage_v, (v) => v / 2, "V", 0],
  ["current_a", "current", (evse) => evse.current_a, (v) => v, "A", 0],
  ["soc_percent", "battery", (evse) => evse.soc_percent, (v) => v, "%", 0],
];

function svg(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text) node.textContent = text;
  return node;
}

const y = (value) => HEIGHT - (Math.max(0, Math.min(TOP, value)) / TOP) * (HEIGHT - 4);

export class Chart {
  constructor(name) {
    this.points = [];
    this.lines = LINES.map(([style]) => svg("polyline", { class: style }));
    const grid = [100, 200, 300, 400].flatMap((value) => [
      svg("line", { class: value === LIMIT ? "limit" : "grid", x1: 0, x2: WIDTH, y1: y(value), y2: y(value) }),
      svg("text", { x: 2, y: y(value) - 3 }, value === LIMIT ? "400 kW, the cabinet's limit" : String(value)),
    ]);
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": name });
    picture.append(...grid, ...this.lines);
    this.figures = LINES.map(() => el("span"));
    this.caption = el("p");
    const legend = LINES.map(([style, title], index) => {
      const sample = svg("svg", { viewBox: "0 0 22 8", "aria-hidden": "true" });
      sample.append(svg("line", { class: style, x1: 0, x2: 22, y1: 4, y2: 4 }));
      return el("li", {}, sample, `${title} `, this.figures[index]);
    });
    this.node = el("div", { class: "chart" }, picture, this.caption, el("ul", { class: "legend" }, ...legend));
  }

  add(evse, speed) {
    const at = performance.now() / 1000;
    this.points.push([at, evse]);
    while (this.points[0][0] < at - KEPT_S) this.points.shift();
    const shown = Math.max(LEAST_S, at - this.points[0][0]);
    this.caption.textContent = `the last ${Math.round(shown)} s${speed === 1 ? "" : `; simulated, ${speed}x as fast as in life`}`;
    LINES.forEach(([, , read, scale, unit, digits], index) => {
      const known = this.points.filter(([, each]) => read(each) !== null && read(each) !== undefined);
      const line = known.map(([when, each]) => `${(WIDTH - ((at - when) / shown) * WIDTH).toFixed(1)},${y(scale(read(each))).toFixed(1)}`);
      this.lines[index].setAttribute("points", line.join(" "));
      this.figures[index].textContent = `${fixed(read(evse) ?? null, digits)} ${unit}`;
    });
  }
}
