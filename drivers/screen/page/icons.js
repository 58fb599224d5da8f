// SPDX-License-Identifier: Apache-2.0
// The signs of the pages: outlines on a grid of 24, drawn with the text's colour.

import { h } from "./paint.js";

const PATHS = {
  bolt: ["M13 2 5 14h6l-1 8 9-13h-7z"],
  card: ["M3 6h18v12H3z", "M3 10h18", "M6 15h4"],
  plug: ["M9 2v6M15 2v6", "M6 8h12v4a6 6 0 0 1-12 0z", "M12 18v4"],
  check: ["M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0", "m8 12 3 3 5-6"],
  cross: ["M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0", "m9 9 6 6m0-6-6 6"],
  pause: ["M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0", "M10 9v6M14 9v6"],
  wait: ["M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0", "M12 7v5l3 2"],
  closed: ["M3 12a9 9 0 1 0 18 0 9 9 0 1 0-18 0", "M6 18 18 6"],
  warning: ["M12 3 2 20h20z", "M12 10v5M12 17.5v.5"],
  hand: ["M8 3h8l5 5v8l-5 5H8l-5-5V8z", "M12 7v6M12 16.5v.5"],
  cloud: ["M7 18a4 4 0 0 1 0-8 5 5 0 0 1 10 0 4 4 0 0 1 0 8z", "M4 4l16 17"],
};

export function icon(name) {
  return h("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, PATHS[name].map((d) => h("path", { d })));
}
