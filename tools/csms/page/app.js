// SPDX-License-Identifier: Apache-2.0
// The page: loads what the chosen station needs, then follows its server-sent events; loads again when reconnected.
// Of the other stations it has a line each, so that hundreds of them cost it little.

import { $, api, copy, el, place } from "../look/dom.js";
import { Certificates } from "./certificates.js";
import { DeviceModel } from "./device_model.js";
import { EvseCard, evsesOf } from "./evse.js";
import { loadFiles } from "./files.js";
import { addMessage, clearMessages, linkedMessage, messagesQuery, setMessages, showExports, showLinked, wantsAll, watchMessages } from "./messages.js";
import { loadTemplates } from "./request.js";
import { forgetTabs, renderList, StationCard, watchStations } from "./stations.js";
import { renderTokens, watchTokenForm } from "./tokens.js";
import { renderTransactions, sessionKey } from "./transactions.js";

const MAX_POINTS = 1200, SHOWN_SESSIONS = 40, FIRST_MESSAGES = 300, DRAW_MS = 150;
// `lines` are all stations; `stations` has the whole record of the chosen one alone, `transactions` its own.
const state = { lines: new Map(), stations: new Map(), transactions: new Map(), series: new Map(), tokens: [], chosen: null, ocpp: "" };
const card = new StationCard(state), model = new DeviceModel(state), certificates = new Certificates(state);
let evses = new Map(), waiting = false, source = null, loads = 0;
let held = null; // events that came while everything is loaded: what is loaded may be older than they are

function render() {
  if (waiting) return;
  waiting = true;
  // A few times a second is enough, even if a station sends faster.
  setTimeout(() => {
    waiting = false;
    $("send-to").textContent = state.chosen ? `to ${state.chosen}` : "";
    // Text that the user is selecting must not be redrawn.
    if (selecting()) return;
    renderList(state);
    renderStation();
    renderTransactions(state);
  }, DRAW_MS);
}

function selecting() {
  const selection = document.getSelection();
  return !selection.isCollapsed && document.querySelector(".left").contains(selection.anchorNode);
}

function renderStation() {
  const station = state.stations.get(state.chosen);
  model.update(station);
  certificates.update(station);
  if (!station) {
    const text = "No station yet. Connect one, with subprotocol ocpp2.0.1 and any password, to ";
    return $("station").replaceChildren(el("section", { class: "card idle" }, text, el("code", { textContent: `${state.ocpp}/<identity>` })));
  }
  card.update(station);
  const shown = evsesOf(station, [...state.transactions.values()]);
  for (const [number] of shown) if (!evses.has(number)) evses.set(number, new EvseCard(number, state));
  for (const [number, evse] of shown) evses.get(number).update(station, evse, (evse.session && state.series.get(sessionKey(evse.session))) ?? []);
  let grid = $("station").querySelector(".evses");
  if (!grid) $("station").replaceChildren(card.node, (grid = el("div", { class: "evses" })));
  place(grid, shown.map(([number]) => evses.get(number).node));
}

function choose(station) {
  if (station === state.chosen) return;
  state.chosen = station;
  evses = new Map();
  $("station").replaceChildren();
  address({ station });
  follow();
}

const address = (parts) => history.replaceState(null, "", `#${new URLSearchParams(parts)}`);
const addressed = () => new URLSearchParams(location.hash.slice(1));

async function loadAll() {
  const load = ++loads;
  held = [];
  try {
    await loadOnce(load);
  } finally {
    if (load === loads) {
      const events = held;
      held = null;
      for (const [kind, data] of events) ON[kind](data);
      render();
    }
  }
  if (load === loads) await Promise.all([loadFiles(state), loadSeries(), model.load()]);
}

async function loadOnce(load) {
  const own = new URLSearchParams({ station: state.chosen ?? "" });
  const [about, lines, tokens, station, transactions, messages] = await Promise.all([
    api("/api"), api("/api/lines"), api("/api/tokens"),
    state.chosen ? api(`/api/stations/${encodeURIComponent(state.chosen)}`).catch(() => null) : null,
    state.chosen ? api(`/api/transactions?${own}`) : [],
    api(`/api/messages?${messagesQuery(state, { limit: FIRST_MESSAGES })}`),
  ]);
  if (load !== loads) return; // another station was chosen meanwhile
  Object.assign(state, { about, tokens, ocpp: about.ocpp });
  $("address").textContent = `${about.ocpp}/<identity>`;
  showBehaviour(about.behaviour);
  state.lines = new Map(lines.map((line) => [line.id, line]));
  state.stations = new Map(station ? [[station.id, station]] : []);
  state.transactions = new Map(transactions.map((session) => [sessionKey(session), session]));
  state.series.clear();
  setMessages(messages, wantsAll());
  showExports(state);
  renderTokens(state);
  forgetTabs();
  if (!state.chosen && lines.length) choose((lines.find((line) => line.connected) ?? lines[0]).id);
}

// The series that the EVSE cards show: active sessions, and the last session of each EVSE.
async function loadSeries() {
  const shown = new Map();
  for (const session of state.transactions.values()) {
    if (session.active || !shown.has(session.evse)) shown.set(session.active ? sessionKey(session) : session.evse, session);
  }
  await Promise.all([...shown.values()].slice(0, SHOWN_SESSIONS).map(async (session) => {
    const query = new URLSearchParams({ station: session.station, id: session.id });
    const { series } = await api(`/api/transactions/detail?${query}`);
    const key = sessionKey(session);
    const since = state.series.get(key) ?? []; // has come meanwhile
    state.series.set(key, series ?? []);
    addPoints(session, since);
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
  for (const point of points ?? []) known.set(point.t, point);
  state.series.set(key, [...known.values()].slice(-MAX_POINTS));
}

const ON = {
  line(line) {
    state.lines.set(line.id, line);
    if (!state.chosen) choose(line.id);
  },
  station(station) { if (station.id === state.chosen) state.stations.set(station.id, station); },
  transaction({ transaction, points }) {
    if (transaction.station !== state.chosen) return;
    const key = sessionKey(transaction);
    // The newest first, as the server lists them.
    if (state.transactions.has(key)) state.transactions.set(key, transaction);
    else state.transactions = new Map([[key, transaction], ...state.transactions]);
    addPoints(transaction, points);
  },
  message(row) {
    if (wantsAll() || row.station === state.chosen) addMessage(row);
    if (row.station !== state.chosen) return;
    const station = state.stations.get(row.station);
    if (/LogStatusNotification|UpdateFirmware/.test(row.text ?? "")) loadFiles(state);
    if (row.action === "CertificateSigned" && row.kind === "result") certificates.again();
    if (station && row.direction === "in" && row.kind !== "link") {
      station.last_seen = row.t;
      if (row.kind === "malformed") station.malformed += 1;
    }
  },
  report(progress) { model.onReport(progress); },
  variables(entries) { model.onVariables(entries); },
  token(token) {
    state.tokens = state.tokens.filter((known) => known.id_token !== token.id_token).concat(token.status ? [token] : []);
    state.tokens.sort((a, b) => (a.id_token < b.id_token ? -1 : 1));
    renderTokens(state);
  },
  behaviour: showBehaviour,
  resync: loadAll,
  hello: loadAll,
};

// Of the chosen station, or of all if its messages are wanted.
function follow() {
  source?.close();
  clearMessages();
  source = new EventSource(`/api/events?${new URLSearchParams(state.chosen && !wantsAll() ? { station: state.chosen } : {})}`);
  for (const [kind, handle] of Object.entries(ON)) {
    source.addEventListener(kind, ({ data }) => {
      if (held && handle !== loadAll) held.push([kind, JSON.parse(data)]);
      else handle(JSON.parse(data));
      render();
    });
  }
  const live = (text, on) => { $("live").textContent = text; $("live").classList.toggle("on", on); };
  source.onopen = () => live("live", true);
  source.onerror = () => live("reconnecting", false);
}

// The station that the address names, or that of its message, or one that is connected.
async function start() {
  const id = addressed().get("message");
  const linked = id && (await linkedMessage(id));
  const lines = await api("/api/lines").catch(() => []);
  const named = linked?.station ?? addressed().get("station");
  state.chosen = lines.find((line) => line.id === named)?.id ?? lines.find((line) => line.connected)?.id ?? lines[0]?.id ?? null;
  if (id) showLinked(id, linked, () => address(state.chosen ? { station: state.chosen } : {}));
  follow();
}

function changeBehaviour(body) {
  api("/api/behaviour", { method: "PUT", body }).catch(loadAll);
}

async function copyAddress() {
  const before = $("address").textContent;
  $("address").textContent = (await copy(state.ocpp)) ? "copied" : "this browser does not let the page copy";
  setTimeout(() => { $("address").textContent = before; }, 1500);
}

$("address").addEventListener("click", copyAddress);
$("gear").addEventListener("click", () => {
  const open = $("behaviour").classList.toggle("open");
  $("gear").setAttribute("aria-expanded", String(open));
});
$("boot-status").addEventListener("change", () => changeBehaviour({ boot_status: $("boot-status").value }));
$("accept-unknown").addEventListener("change", () => changeBehaviour({ accept_unknown: $("accept-unknown").value === "true" }));
$("sign-certificate").addEventListener("change", () => changeBehaviour({ sign_certificate: $("sign-certificate").value }));
addEventListener("hashchange", () => location.reload());
watchStations(choose, render);
watchMessages(state, follow);
watchTokenForm();
loadTemplates(state);
start();
setInterval(render, 1000);
