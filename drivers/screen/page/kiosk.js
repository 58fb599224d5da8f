// SPDX-License-Identifier: Apache-2.0
// The page of one display: takes page models from the charger over a WebSocket, paints them, reports touches, and proves
// every 2 s that it still paints.
//
// One hardware button is the key F8: a short press moves the focus to the next thing that can be touched, a press of
// 0.8 s or more touches it. Tab and Enter do the same.

import { paint } from "./paint.js";
import { render } from "./render.js";

const BEAT_MS = 2000;
const STALE_MS = 10000;
const RETRY_MS = 1000;
const LONG_PRESS_MS = 800;
const CONFIRM_MS = 15000;
/** Without a touch for this long, on a page without a driver, the station's own language is back. */
const LANGUAGE_MS = 60000;
const ALONE = ["starting", "idle", "unavailable", "offline", "faulted", "emergency_stop"];

const state = { model: { page: "starting" }, language: null, home: "en", languages: [], confirming: false, stale: true };
const words = new Map();
const screen = Number(location.pathname.split("/").pop());
let socket = null;
let heardAt = performance.now();
let touchedAt = performance.now();
let askedAt = 0;
let beats = 0;

function draw() {
  if (!state.language) return;
  const before = document.activeElement?.closest?.("dialog, [role=dialog]");
  paint(document.body, render(state.model, state.language, state));
  document.documentElement.lang = state.language.code;
  if (state.confirming && !before) document.querySelector("[data-action=keep]")?.focus();
}

async function speak(code) {
  if (!words.has(code)) {
    const response = await fetch(new URL(`../languages/${code}.json`, import.meta.url)); // with this module's version
    if (!response.ok) return;
    words.set(code, await response.json());
  }
  state.language = { code, words: words.get(code) };
  draw();
}

// --- the charger -----------------------------------------------------------------------------------------------------

const HEARD = {
  hello: (hello) => {
    state.home = hello.language;
    state.languages = hello.languages;
    words.set(hello.language, hello.words);
    document.documentElement.dataset.theme = hello.theme;
    if (!state.languages.some(([code]) => code === state.language?.code)) speak(hello.language);
  },
  page: ({ model }) => {
    if (model.page !== state.model.page) state.confirming = false;
    state.model = model;
  },
  beat: () => {},
};

function connect() {
  socket = new WebSocket(`ws://${location.host}/display/${screen}/events`);
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    heardAt = performance.now();
    state.stale = false;
    HEARD[message.kind]?.(message);
    draw();
  };
  socket.onclose = () => {
    state.stale = true;
    draw();
    setTimeout(connect, RETRY_MS);
  };
}

function send(message) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

/** After the browser has painted: a page that hangs sends none. */
function beat() {
  const now = performance.now();
  state.stale = now - heardAt > STALE_MS || socket?.readyState !== WebSocket.OPEN;
  if (state.confirming && now - askedAt > CONFIRM_MS) state.confirming = false;
  if (now - touchedAt > LANGUAGE_MS && ALONE.includes(state.model.page) && state.language?.code !== state.home) speak(state.home);
  draw();
  requestAnimationFrame(() => send({ kind: "beat", count: (beats += 1) }));
}

// --- the person ------------------------------------------------------------------------------------------------------

const TOUCHED = {
  select: () => send({ kind: "select" }),
  ask: () => {
    send({ kind: "select" }); // a card in place of the answer is for this outlet
    state.confirming = true;
    askedAt = performance.now();
  },
  keep: () => { state.confirming = false; },
  stop: () => {
    state.confirming = false;
    send({ kind: "stop" });
  },
  language: (node) => { speak(node.dataset.value); },
};

function touch(node) {
  touchedAt = performance.now();
  TOUCHED[node.dataset.action]?.(node);
  draw();
}

document.addEventListener("click", (event) => {
  const node = event.target.closest("[data-action]");
  if (node) touch(node);
});

function focusNext() {
  const within = document.querySelector("[role=dialog]") ?? document;
  const all = [...within.querySelectorAll("button")];
  if (all.length) all[(all.indexOf(document.activeElement) + 1) % all.length].focus();
}

let pressedAt = null;
document.addEventListener("keydown", (event) => {
  if (event.key !== "F8") return;
  event.preventDefault();
  if (!event.repeat && pressedAt === null) pressedAt = event.timeStamp;
});
document.addEventListener("keyup", (event) => {
  if (event.key !== "F8" || pressedAt === null) return;
  event.preventDefault();
  const held = event.timeStamp - pressedAt;
  pressedAt = null;
  if (held < LONG_PRESS_MS) focusNext();
  else document.activeElement?.closest("[data-action]")?.click();
});
document.addEventListener("contextmenu", (event) => event.preventDefault());

connect();
setInterval(beat, BEAT_MS);
