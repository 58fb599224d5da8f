// SPDX-License-Identifier: Apache-2.0
// The frame: who is signed in, which page is shown, and the events of the station.

import { $, el, span } from "../look/dom.js";
import { ask, get, post, remove, useSession } from "./api.js";
import { openDialog, sentence, waiting } from "./forms.js";
import { firstPasswordPage, signInForm, signInPage } from "./signin.js";

// Each module is loaded when it is first shown; its `show(place, page)` fills the place.
const PAGES = [
  { name: "status", title: "Status" },
  { name: "setup", title: "Set-up", installer: true },
  { name: "settings", title: "Settings" },
  { name: "messages", title: "Messages" },
  { name: "tests", title: "Tests", installer: true },
  { name: "logs", title: "Logs" },
  { name: "access", title: "Access" },
  { name: "service", title: "Maintenance", installer: true },
];

// What pages have of the frame: who is signed in, the newest `status`, and `on` and `stream`, by which they hear of events.
const page = {
  session: { signed_in: false },
  status: null,
  get isInstaller() { return this.session.role === "installer"; },
  on(name, listener) {
    listeners.push([name, listener]);
    leave.push(() => { listeners.splice(listeners.findIndex((each) => each[1] === listener), 1); });
  },
  // Events of another stream until the page is left; `reset` is called at each of its beginnings.
  stream(path, { reset, ...handlers }) {
    const source = new EventSource(path);
    source.onopen = reset;
    for (const [name, handle] of Object.entries(handlers)) source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    source.addEventListener("end", () => source.close());
    leave.push(() => source.close());
  },
};
const listeners = [];
let leave = [];
let events = null;
let dialog = null;

function emit(name, data) {
  for (const [wanted, listener] of [...listeners]) if (wanted === name) listener(data);
}

// --- who is signed in ------------------------------------------------------------------------------------------------------

async function enter(session) {
  const before = page.session;
  use(session);
  if (before.user !== session.user || before.must_change_password !== session.must_change_password || !session.signed_in) await route();
  if (session.signed_in && !session.must_change_password) follow();
}

function use(session) {
  page.session = session;
  useSession(session);
  const ready = session.signed_in && !session.must_change_password;
  $("nav").hidden = $("live").hidden = !ready;
  $("who").textContent = session.signed_in ? session.user : "";
  $("sign-out").hidden = !session.signed_in;
  drawNav();
  drawBanner();
}

// Over what is shown, so that it is still there afterwards.
ask.signIn = async ({ quietly = false } = {}) => {
  const session = await get("/api/session");
  if (session.signed_in) {
    use(session);
    return true;
  }
  if (quietly || !page.session.signed_in) {
    await enter(session);
    return false;
  }
  return new Promise((resolve) => signInOver(session, resolve));
};

let overs = [];

function signInOver(session, resolve) {
  overs.push(resolve);
  if (dialog) return;
  events?.close();
  events = null;
  const user = page.session.user;
  dialog = openDialog("Your session has ended", el("p", { textContent: "Sign in again: what you have typed is still there." }),
    signInForm(session, async (next) => {
      dialog.close("yes");
      if (next.user !== user) location.reload();
      else await enter(next);
    }, { user }));
  dialog.addEventListener("close", async () => {
    const again = dialog.returnValue === "yes";
    dialog = null;
    const waitingNow = overs;
    overs = [];
    if (!again) await enter({ ...session, signed_in: false });
    for (const each of waitingNow) each(again);
  });
}

ask.takeOver = (holder) => new Promise((resolve) => {
  const yes = el("button", { class: "primary", type: "button", textContent: "Take over" });
  const no = el("button", { type: "button", textContent: "Cancel" });
  const wrong = el("p", { class: "error", role: "alert" });
  const asked = openDialog("Another installer is at work",
    el("p", { textContent: `${describe(holder)} If you take over, that page can no longer change anything.` }), el("div", { class: "row" }, yes, no), wrong);
  yes.addEventListener("click", () => waiting(yes, async () => { use(await post("/api/session/seat")); asked.close("yes"); }, (text) => { wrong.textContent = text; }));
  no.addEventListener("click", () => asked.close());
  asked.addEventListener("close", () => resolve(asked.returnValue === "yes"));
  no.focus();
});

const describe = (holder) => (holder ? `${holder.user} at ${holder.address}, signed in for ${span(holder.since_s)}, was last active ${span(holder.idle_s)} ago.` : "");

function drawBanner() {
  const { seat, signed_in } = page.session;
  if (!signed_in || !seat || !page.isInstaller) return $("banner").replaceChildren();
  const button = el("button", { type: "button", textContent: "Take over" });
  button.addEventListener("click", () => ask.takeOver(page.session.seat));
  $("banner").replaceChildren(el("div", { class: "notice seat" }, el("span", { textContent: `Another installer is at work: ${describe(seat)}` }), button));
}

// --- which page --------------------------------------------------------------------------------------------------------------

const allowed = () => PAGES.filter((each) => page.isInstaller || !each.installer);

function chosen() {
  const name = location.hash.slice(2).split("/")[0];
  return allowed().find((each) => each.name === name) ?? allowed()[0];
}

function drawNav() {
  const present = chosen();
  $("nav").replaceChildren(...allowed().map((each) =>
    el("a", { href: `#/${each.name}`, textContent: each.title, "aria-current": each === present ? "page" : null })));
  $("nav").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

async function route({ focus = false } = {}) {
  for (const each of leave.splice(0)) each();
  const place = el("div", { class: "view" });
  $("view").replaceChildren(place);
  const { session } = page;
  if (!session.signed_in || session.must_change_password) {
    events?.close();
    events = null;
    document.title = "Sign in – charging station";
    place.append(session.signed_in ? firstPasswordPage(session, enter) : signInPage(session, enter));
    place.querySelector("input")?.focus();
    return;
  }
  const { name, title } = chosen();
  document.title = `${title} – ${page.status?.serial_number || "charging station"}`;
  drawNav();
  place.append(el("h1", { textContent: title }));
  if (focus) $("main").focus();
  try {
    const module = await import(`./${name}.js`);
    if (place.isConnected) await module.show(place, page);
  } catch (error) {
    place.append(el("p", { class: "error", role: "alert", textContent: sentence(error.message) }));
  }
}

// --- events ------------------------------------------------------------------------------------------------------------------

function follow() {
  if (events) return;
  import("./trial.js").then(({ lookForTrial }) => lookForTrial(page)).catch(() => null);
  events = new EventSource("/api/events");
  events.onopen = () => isLive(true);
  events.onerror = () => {
    isLive(false);
    // A refused stream is not tried again by the browser: the session has ended, or too many pages are open.
    if (events?.readyState === EventSource.CLOSED) again();
  };
  for (const name of ["status", "variables", "session", "tests", "network", "end"]) {
    events.addEventListener(name, (event) => ON[name](JSON.parse(event.data)));
  }
}

function again() {
  events = null;
  setTimeout(async () => {
    const session = await get("/api/session").catch(() => null);
    if (session === null) again();
    else if (session.signed_in) { use(session); follow(); }
    else if (page.session.signed_in) ask.signIn();
  }, 2000);
}

const ON = {
  status(status) {
    page.status = status;
    $("station").textContent = [status.identity, status.serial_number].filter(Boolean).join(" · ") || "charging station";
    emit("status", status);
  },
  variables: (variables) => emit("variables", variables),
  tests: (tests) => emit("tests", tests),
  network: async (network) => (await import("./trial.js")).drawTrial(page, network),
  async session() {
    const session = await get("/api/session").catch(() => page.session);
    if (session.signed_in) use(session);
    else ask.signIn();
  },
  end: () => { events?.close(); events = null; ask.signIn(); },
};

function isLive(yes) {
  $("live").textContent = yes ? "live" : "reconnecting";
  $("live").classList.toggle("on", yes);
}

$("sign-out").addEventListener("click", async () => {
  await remove("/api/session").catch(() => null);
  location.reload();
});
addEventListener("hashchange", () => route({ focus: true }));
enter(await get("/api/session"));
