// SPDX-License-Identifier: Apache-2.0
// The cockpit: shows the rig's state as it comes, and sends operations of its control socket.

import { $, el } from "/look/dom.js";
import { Cabinet } from "/static/cabinet.js";
import { Outlet } from "/static/outlet.js";
import { addMessage, startMessages } from "/static/messages.js";

const LANGUAGES = [["en", "English"], ["de", "Deutsch"], ["fr", "Français"], ["es", "Español"], ["zh", "中文"], ["ja", "日本語"]];
const RETRY_MS = 1000;
const outlets = new Map();
let socket = null, language = null, state = null;

function send(op, fields = {}) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ op, ...fields }));
}

const cabinet = new Cabinet($("cabinet"), send);

function draw() {
  if (!state || !language) return;
  $("who").textContent = `${state.identity} · firmware ${state.firmware_version} · ${csms(state.ocpp)}`;
  for (const evse of state.evses) {
    if (!outlets.has(evse.evse)) {
      outlets.set(evse.evse, new Outlet(evse.evse, send));
      $("outlets").append(outlets.get(evse.evse).node);
    }
    const screen = state.screens.find((each) => each.screen === evse.evse);
    outlets.get(evse.evse).update(evse, screen, language, state);
  }
  cabinet.update(state);
}

function csms(ocpp) {
  const queued = ocpp.queued_messages ? `, ${ocpp.queued_messages} messages queued` : "";
  if (ocpp.connected) return `connected to the CSMS, ${ocpp.registration ?? "not registered"}${queued}`;
  return `not connected${ocpp.last_failure ? `: ${ocpp.last_failure.text}` : ""}${queued}`;
}

function say(text) {
  $("answer").textContent = text;
  $("answer").hidden = !text;
}

const HEARD = {
  state: (now) => { state = now; draw(); },
  answer: ({ ok, detail }) => say(ok ? "" : detail),
  message: addMessage,
  event: (event) => {
    if (event.event === "card") say(event.outcome === "started" || event.outcome === "stopped" ? "" : `card ${event.uid}: ${event.outcome}`);
  },
};

function connect() {
  socket = new WebSocket(`ws://${location.host}/events`);
  socket.onopen = () => { $("live").textContent = "live"; $("live").classList.add("on"); startMessages(); };
  socket.onmessage = ({ data }) => {
    for (const [kind, content] of Object.entries(JSON.parse(data))) HEARD[kind]?.(content);
  };
  socket.onclose = () => {
    $("live").textContent = "the rig is gone; trying again";
    $("live").classList.remove("on");
    setTimeout(connect, RETRY_MS);
  };
}

async function speak(code) {
  language = { code, words: await (await fetch(`/languages/${code}.json`)).json() };
  draw();
}

$("language").append(...LANGUAGES.map(([value, textContent]) => el("option", { value, textContent })));
$("language").addEventListener("input", ({ target }) => speak(target.value));
speak("en");
connect();
