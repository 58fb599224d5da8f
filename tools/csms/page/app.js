// SPDX-License-Identifier: Apache-2.0
// The page: loads everything once, then follows the server-sent events; loads everything again when reconnected.

import { $, api } from "/look/dom.js";
import { loadFiles } from "/static/files.js";
import { addMessage, setMessages, watchFilters } from "/static/messages.js";
import { loadTemplates } from "/static/request.js";
import { forgetCharts, renderStation, renderTabs, sessionKey } from "/static/stations.js";
import { renderTokens, renderTransactions, watchTokenForm } from "/static/tables.js";

const MAX_POINTS = 1200;
const state = { stations: new Map(), transactions: new Map(), series: new Map(), tokens: [], chosen: null, ocpp: "" };
let waiting = false;

function render() {
  if (waiting) return;
  waiting = true;
  // A few times a second is enough, even if a station sends faster.
  setTimeout(() => {
    waiting = false;
    if (!state.stations.has(state.chosen)) state.chosen = [...state.stations.values()].find((s) => s.connected)?.id ?? state.stations.keys().next().value ?? null;
    $("send-to").textContent = state.chosen ? `to ${state.chosen}` : "";
    // Text that the user is selecting must not be redrawn.
    if (selecting()) return;
    renderTabs(state, choose);
    renderStation(state);
    renderTransactions(state);
  }, 150);
}

function selecting() {
  const selection = document.getSelection();
  return !selection.isCollapsed && document.querySelector(".left").contains(selection.anchorNode);
}

async function choose(station) {
  state.chosen = station;
  render();
  await loadSeries();
}

async function loadAll() {
  const [about, stations, transactions, messages, tokens] = await Promise.all(
    ["/api", "/api/stations", "/api/transactions", "/api/messages?max_text=20000&limit=300", "/api/tokens"].map((path) => api(path)));
  state.about = about;
  state.ocpp = about.ocpp;
  $("address").textContent = `${about.ocpp}/<identity>`;
  showBehaviour(about.behaviour);
  state.stations = new Map(stations.map((station) => [station.id, station]));
  state.transactions = new Map(transactions.map((session) => [sessionKey(session), session]));
  state.tokens = tokens;
  setMessages(messages);
  await loadFiles(state);
  renderTokens(state);
  state.series.clear();
  render();
  await loadSeries();
}

// The series that the EVSE cards show: active sessions, and the last session of each EVSE.
async function loadSeries() {
  const shown = new Map();
  for (const session of state.transactions.values()) {
    const place = `${session.station} ${session.evse}`;
    if (session.active || !shown.has(place)) shown.set(session.active ? sessionKey(session) : place, session);
  }
  forgetCharts(new Set([...shown.values()].map(sessionKey)));
  await Promise.all([...shown.values()].slice(0, 40).map(async (session) => {
    if (state.series.has(sessionKey(session))) return;
    const query = new URLSearchParams({ station: session.station, id: session.id });
    state.series.set(sessionKey(session), (await api(`/api/transactions/detail?${query}`)).series);
  }));
  render();
}

function showBehaviour(behaviour) {
  $("boot-status").value = behaviour.boot_status;
  $("accept-unknown").value = String(behaviour.accept_unknown);
  $("sign-certificate").value = behaviour.sign_certificate;
}

function addPoints(session, points) {
  const key = sessionKey(session);
  const known = new Map((state.series.get(key) ?? []).map((point) => [point.t, point]));
  for (const point of points) known.set(point.t, point);
  state.series.set(key, [...known.values()].slice(-MAX_POINTS));
}

const ON = {
  station(station) { state.stations.set(station.id, station); },
  transaction({ transaction, points }) {
    const key = sessionKey(transaction);
    const known = state.transactions.has(key);
    // The newest first, as the server lists them.
    if (known) state.transactions.set(key, transaction);
    else state.transactions = new Map([[key, transaction], ...state.transactions]);
    addPoints(transaction, points);
  },
  message(row) {
    addMessage(row);
    const station = state.stations.get(row.station);
    if (/LogStatusNotification|UpdateFirmware/.test(row.text ?? "")) loadFiles(state);
    if (station && row.direction === "in" && row.kind !== "link") {
      station.last_seen = row.t;
      if (row.kind === "malformed") station.malformed += 1;
    }
  },
  token(token) {
    state.tokens = state.tokens.filter((known) => known.id_token !== token.id_token).concat(token.status ? [token] : []);
    state.tokens.sort((a, b) => (a.id_token < b.id_token ? -1 : 1));
    renderTokens(state);
  },
  behaviour: showBehaviour,
  resync: loadAll,
  hello: loadAll,
};

function follow() {
  const source = new EventSource("/api/events");
  for (const [kind, handle] of Object.entries(ON)) {
    source.addEventListener(kind, (event) => { handle(JSON.parse(event.data)); render(); });
  }
  source.onopen = () => { $("live").textContent = "live"; $("live").classList.add("on"); };
  source.onerror = () => { $("live").textContent = "reconnecting"; $("live").classList.remove("on"); };
}

function changeBehaviour(body) {
  api("/api/behaviour", { method: "PUT", body }).catch(loadAll);
}

$("address").addEventListener("click", () => navigator.clipboard?.writeText(state.ocpp));
$("boot-status").addEventListener("change", () => changeBehaviour({ boot_status: $("boot-status").value }));
$("accept-unknown").addEventListener("change", () => changeBehaviour({ accept_unknown: $("accept-unknown").value === "true" }));
$("sign-certificate").addEventListener("change", () => changeBehaviour({ sign_certificate: $("sign-certificate").value }));
watchFilters();
watchTokenForm();
loadTemplates(state);
follow();
setInterval(render, 1000);
