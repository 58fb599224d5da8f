// SPDX-License-Identifier: Apache-2.0
// What a display shows: `render(model, language, view)` makes a tree for `paint` of a page model
// (firmware/contract/display.py). It is pure: it reads no clock, touches no document and keeps no state.
//
// language   { code: "de", words: {...} }: one of the files in /languages
// view       what the person at the display has done and what surrounds it, all optional:
//            languages [["de", "Deutsch"], ...] to choose from, `confirming` a stop, `stale` without the charger
//
// What can be touched has `data-action`: select, stop, ask (to confirm a stop; selects, too), keep (not to stop), language.
// A touch of the page says which outlet the EV driver means; on a receipt that begins a session, so only its button does.

import { h } from "./paint.js";
import { icon } from "./icons.js";

const TONES = {
  idle: "good", select: "info", plug_in: "info", plug_in_again: "warn", authorising: "info", authorised: "good",
  preparing: "info", charging: "good", suspended: "warn", stopping: "info", finished: "good", rejected: "bad",
  unavailable: "warn", faulted: "bad", emergency_stop: "alarm", offline: "warn",
};
const ICONS = {
  starting: "wait", idle: "bolt", select: "card", plug_in: "plug", plug_in_again: "plug", authorising: "wait",
  authorised: "check", preparing: "wait", suspended: "pause", stopping: "wait", finished: "check", rejected: "cross",
  unavailable: "closed", faulted: "warning", emergency_stop: "hand", offline: "cloud",
};
const STEPS = ["vehicle", "cable_check", "precharge", "energy"];
const SESSION = ["charging", "suspended", "stopping"];
const CANCELLED = ["plug_in", "plug_in_again", "authorised", "preparing"];

export function render(model, language, view = {}) {
  const say = speaker(language.words);
  const format = formatter(language.code, say);
  const tone = TONES[model.page] ?? "quiet";
  return h(
    "div", { class: `display ${tone}`, lang: language.code, "data-page": model.page },
    header(model, say),
    h("main", { "data-key": model.page, class: shape(model.page), "data-action": model.page === "finished" ? null : "select" }, body(model, say, format)),
    notice(model, say),
    footer(language, view, say),
    view.confirming ? question(say) : null,
    view.stale ? h("div", { class: "veil", role: "alert" }, h("p", {}, say("stale"))) : null,
  );
}

/** How the parts of the page are arranged. */
function shape(page) {
  if (SESSION.includes(page)) return "session";
  return page === "finished" || page === "preparing" || page === "authorised" ? "message wide" : "message";
}

function body(model, say, format) {
  if (SESSION.includes(model.page)) return session(model, say, format);
  return [
    icon(ICONS[model.page] ?? "warning"),
    h(
      "div", { class: "words" },
      h("h1", { "aria-live": "polite" }, title(model, say)),
      lines(model, say, format).map((line) => h("p", {}, line)),
    ),
    model.page === "preparing" || model.page === "authorised" ? steps(model, say) : null,
    model.page === "finished" ? receipt(model, say, format) : null,
    actions(model, say),
  ];
}

function title(model, say) {
  return say(`${model.page}.title`) || say("faulted.title");
}

/** The sentences under the title. */
function lines(model, say, format) {
  switch (model.page) {
    case "rejected": return [say(`reason.${model.reason}`) || say("reason.rejected")];
    case "unavailable":
      return [say(`out_of_service.${model.out_of_service}`), model.since && say("since", { since: format.moment(model.since) })];
    case "faulted":
    case "emergency_stop": {
      const [worst] = model.faults ?? [];
      return [
        say(`fault.${worst}`) || say("fault.unknown"), say(`advice.${model.advice}`),
        model.code && say("code", { code: model.code }),
      ];
    }
    case "offline": return [say(`offline.${model.offline ?? "unknown"}`), say("offline.hint")];
    default: return [say(`${model.page}.hint`) || (TONES[model.page] ? "" : say("fault.unknown"))];
  }
}

function steps(model, say) {
  const at = STEPS.indexOf(model.step);
  const state = (index) => (index < at ? "done" : index === at ? "now" : "next");
  return h(
    "ol", { class: "steps" },
    STEPS.map((step, index) => h("li", { class: state(index), "aria-current": index === at ? "step" : null }, say(`step.${step}`))),
  );
}

// --- a session: figures, ring, curve ---------------------------------------------------------------------------------

function session(model, say, format) {
  return [
    h(
      "div", { class: "state" },
      h("h1", { "aria-live": "polite" }, title(model, say)),
      h("p", {}, model.page === "suspended" ? say(`suspended.${model.suspended_by}`) : say(`${model.page}.hint`)),
    ),
    ring(model, say),
    figures(model, say, format),
    curve(model, say),
    h("p", { class: "shared" }, model.shared_with ? say("shared", { evse: model.shared_with }) : null),
    actions(model, say),
  ];
}

const ROUND = 2 * Math.PI * 45;

function ring(model, say) {
  const percent = model.soc_percent;
  const known = percent !== undefined && percent !== null;
  const part = known ? Math.min(100, Math.max(0, percent)) / 100 : 0;
  return h(
    "div", { class: "ring", role: "img", "aria-label": known ? `${say("battery")} ${percent} %` : say("battery") },
    h(
      "svg", { viewBox: "0 0 100 100", "aria-hidden": "true" },
      h("circle", { class: "track", cx: 50, cy: 50, r: 45 }),
      h("circle", {
        class: "part", cx: 50, cy: 50, r: 45, transform: "rotate(-90 50 50)",
        "stroke-dasharray": `${(ROUND * part).toFixed(1)} ${ROUND.toFixed(1)}`,
      }),
    ),
    h("div", { class: "inside", "aria-hidden": "true" }, h("b", {}, known ? `${percent}` : "–", h("i", {}, "%")), h("span", {}, say("battery"))),
  );
}

function figures(model, say, format) {
  return h(
    "dl", { class: "figures" },
    figure(say("power"), format.number(model.power_kw, 1), "kW", model.offered_kw ? say("offered", { power: format.number(model.offered_kw, 0) }) : null),
    figure(say("energy"), format.number(model.energy_kwh, 2), "kWh"),
    figure(say("time"), format.span(model.duration_s)),
    model.minutes_to_80 ? figure(say("to_80"), format.span(model.minutes_to_80 * 60)) : null,
  );
}

function figure(name, value, unit, more) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, h("b", {}, value), unit ? h("i", {}, ` ${unit}`) : null, more ? h("small", {}, more) : null));
}

function curve(model, say) {
  const points = [...(model.history_kw ?? [])];
  if (points.length < 2) return h("div", { class: "curve" });
  const most = Math.max(10, ...points);
  const x = (at) => ((at * 300) / (points.length - 1)).toFixed(1);
  const y = (value) => (58 - (Math.max(0, value) / most) * 54).toFixed(1);
  const line = points.map((value, at) => `${x(at)},${y(value)}`).join(" ");
  return h(
    "div", { class: "curve", role: "img", "aria-label": say("curve") },
    h(
      "svg", { viewBox: "0 0 300 60", preserveAspectRatio: "none", "aria-hidden": "true" },
      h("polygon", { points: `0,60 ${line} 300,60` }),
      h("polyline", { points: line }),
    ),
    h("span", { "aria-hidden": "true" }, `${Math.round(most)} kW`),
  );
}

function receipt(model, say, format) {
  const row = (name, value) => (value === null ? null : h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h(
    "dl", { class: "receipt", "aria-label": say("receipt") },
    row(say("energy"), model.energy_kwh === undefined ? null : `${format.number(model.energy_kwh, 2)} kWh`),
    row(say("time"), model.duration_s === undefined ? null : format.span(model.duration_s)),
    row(say("battery"), model.soc_percent === undefined ? null : `${model.soc_percent} %`),
    row(say("period"), model.started && model.ended ? format.period(model.started, model.ended) : null),
  );
}

// --- around the page -------------------------------------------------------------------------------------------------

function header(model, say) {
  const others = (model.others ?? []).slice(0, 3);
  return h(
    "header", {},
    h("strong", {}, model.evse ? say("outlet", { evse: model.evse }) : null, model.connector ? h("span", {}, model.connector) : null),
    h(
      "ul", { class: "others" },
      others.map((other) =>
        h("li", { class: other.state }, say("outlet", { evse: other.evse }), h("b", {}, say(`state.${other.state}`)), other.power_kw ? `${other.power_kw} kW` : null),
      ),
    ),
  );
}

function notice(model, say) {
  const hidden = !model.offline || model.page === "offline";
  return h("p", { class: "notice", role: "status", hidden: hidden ? "" : null }, hidden ? null : [
    say(`offline.${model.offline}`) || say("offline.unknown"), SESSION.includes(model.page) ? ` ${say("goes_on")}` : null,
  ]);
}

function actions(model, say) {
  const button = (action, word, kind) => h("button", { type: "button", class: kind, "data-action": action, "data-key": action }, say(word));
  const found = [];
  if (model.page === "idle") found.push(button("select", "button.select", "primary"));
  if (model.page === "finished") found.push(button("select", "button.again", "primary"));
  if (model.page === "charging" || model.page === "suspended") found.push(button("ask", "button.stop", "stop"));
  if (CANCELLED.includes(model.page)) found.push(button("ask", "button.cancel", "second"));
  return h("div", { class: "actions" }, found);
}

function question(say) {
  return h(
    "div", { class: "veil", role: "dialog", "aria-modal": "true", "aria-labelledby": "question" },
    h("h2", { id: "question" }, say("confirm.title")),
    h("div", { class: "actions" },
      h("button", { type: "button", "data-action": "keep", "data-key": "keep" }, say("confirm.no")),
      h("button", { type: "button", class: "stop", "data-action": "stop", "data-key": "stop" }, say("confirm.yes"))),
  );
}

function footer(language, view, say) {
  if (!view.languages) return null;
  return h(
    "footer", {},
    h("nav", { "aria-label": say("languages") }, view.languages.map(([code, name]) =>
      h("button", { type: "button", lang: code, "data-action": "language", "data-value": code, "aria-pressed": String(code === language.code) }, name))),
  );
}

// --- words and numbers -----------------------------------------------------------------------------------------------

/** `say(key, values)`: the words, or "" if the language has none. */
function speaker(words) {
  return (key, values = {}) => (Object.hasOwn(words, key) ? words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? "")) : "");
}

const kept = new Map();

/** Formatters are expensive to make; there are a few for each language. */
function keep(key, makeIt) {
  if (!kept.has(key)) kept.set(key, makeIt());
  return kept.get(key);
}

/** The station's local time, as it is: read and written as if it were UTC. */
const wallClock = (local) => new Date(`${local}Z`);

function moments(code) {
  const options = { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit", timeZone: "UTC" };
  return keep(`${code} moment`, () => new Intl.DateTimeFormat(code, options));
}

function formatter(code, say) {
  return {
    number: (value, digits) => {
      if (value === undefined || value === null) return "–";
      const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
      return keep(`${code} ${digits}`, () => new Intl.NumberFormat(code, options)).format(value);
    },
    span: (seconds) => {
      if (seconds === undefined || seconds === null) return "–";
      const minutes = Math.floor(seconds / 60);
      if (minutes < 60) return say("span.minutes", { minutes });
      return say("span.hours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
    },
    moment: (local) => (isNaN(wallClock(local)) ? String(local) : moments(code).format(wallClock(local))),
    period: (from, to) => (wallClock(from) <= wallClock(to) ? moments(code).formatRange(wallClock(from), wallClock(to)) : ""),
  };
}
