// SPDX-License-Identifier: Apache-2.0
// The step of the set-up that says how the station reaches the network: the address of Ethernet, the access point of LTE.

import { $, el, scroller } from "../look/dom.js";
import { get, put } from "./api.js";
import { Field, confirm, form, goOn } from "./forms.js";
import { linkTable } from "./status.js";
import { drawTrial } from "./trial.js";

const TRIED = "They are being tried: keep them above within three minutes, or the former ones return.";
const AUTHENTICATION = [["auto", "as the network asks for it"], ["none", "none"], ["pap", "PAP"], ["chap", "CHAP"]];

export async function networkStep(wizard) {
  const place = el("div");
  const draw = ({ links }) => place.replaceChildren(scroller("Network interfaces", linkTable(links)));
  draw(wizard.page.status ?? (await get("/api/status")));
  wizard.page.on("status", draw);
  const network = await get("/api/network");
  drawTrial(wizard.page, network);
  return el("div", { class: "view" }, place,
    ...network.interfaces.flatMap((each) => [el("h3", { textContent: `${each.name} (${each.is_cellular ? "LTE" : "Ethernet"})` }), part(wizard.page, each)]),
    goOn(wizard));
}

function part(page, known) {
  if (known.problem) return el("p", { class: "empty", textContent: `It can’t be set now: ${known.problem}.` });
  return known.is_cellular ? cellular(page, known) : wired(page, known);
}

// --- Ethernet ------------------------------------------------------------------------------------------------------------

function wired(page, { name, wired: now, addresses = [] }) {
  const method = new Field({ label: "Address", options: [["dhcp", "from the site’s DHCP server"], ["fixed", "fixed"]], value: now?.method ?? "dhcp", hint: addresses.length ? `Now ${addresses.join(", ")}. IPv6 is always automatic.` : "There is no address now. IPv6 is always automatic." });
  const address = new Field({ label: "Fixed address with its prefix", value: now?.address ?? "", placeholder: "192.0.2.10/24", inputMode: "url" });
  const gateway = new Field({ label: "Gateway", value: now?.gateway ?? "", placeholder: "192.0.2.1", inputMode: "url", hint: "Empty: none, for a network that leads nowhere else." });
  const dns = new Field({ label: "DNS servers", value: (now?.dns ?? []).join(", "), placeholder: "192.0.2.53", inputMode: "url", hint: "Up to three, with commas. With DHCP they replace the server’s; empty: those of the server." });
  const fixed = [address, gateway];
  const fit = () => { for (const each of fixed) each.node.hidden = method.value !== "fixed"; };
  method.input.addEventListener("change", fit);
  fit();
  const asked = () => ({
    method: method.value, dns: dns.value.split(/[\s,]+/).filter(Boolean),
    ...(method.value === "fixed" ? { address: address.value, gateway: gateway.value } : {}),
  });
  return form({
    fields: [method, ...fixed, dns], submit: `Try these settings of ${name}`,
    action: async () => {
      const settings = asked();
      const to = settings.address?.split("/")[0];
      if (!(await confirm({ title: `New settings of ${name}`, text: warning(addresses, to), yes: "Try them", tone: "primary" }))) return "";
      return tried(page, { address, gateway, dns }, () => put(`/api/network/${name}/wired`, settings));
    },
  });
}

// What happens to this browser's own connection.
function warning(addresses, to) {
  const own = addresses.some((each) => each.split("/")[0] === location.hostname);
  const where = to ? `https://${to}${location.port ? `:${location.port}` : ""}/` : "its new address, which the site’s router shows";
  const cut = own ? "This browser reaches the station over this interface, and will lose it." : "Whoever reaches the station over this interface will lose it for a moment, or until its new address is used.";
  return `${cut} Open ${where} within three minutes, sign in, and keep the settings. If nobody does, the former ones return.`;
}

// --- LTE -----------------------------------------------------------------------------------------------------------------

function cellular(page, { name, cellular: now }) {
  const keeps = (is_set) => (is_set ? "One is set; leave this empty to keep it." : "");
  const apn = new Field({ label: "Access point (APN)", value: now?.apn ?? "", required: true, maxLength: 99, placeholder: "internet.example", hint: "From the contract of the SIM." });
  const user = new Field({ label: "User name", value: now?.user ?? "", maxLength: 64, hint: "Empty: none, and no password." });
  const password = new Field({ label: "Password of the access point", type: "password", autocomplete: "new-password", hint: keeps(now?.password_is_set) });
  const authentication = new Field({ label: "Authentication", options: AUTHENTICATION, value: now?.authentication ?? "auto" });
  const pin = new Field({ label: "PIN of the SIM", type: "password", inputMode: "numeric", autocomplete: "off", hint: `${keeps(now?.pin_is_set)} After three wrong ones the SIM is locked.`.trim() });
  const noPin = new Field({ label: "The SIM has no PIN: remove the one that is set", type: "checkbox" });
  noPin.node.hidden = !now?.pin_is_set;
  return form({
    fields: [apn, user, password, authentication, pin, noPin], submit: `Try these settings of ${name}`,
    action: async () => {
      const settings = { apn: apn.value, user: user.value, authentication: authentication.value,
        password: password.value || (user.value ? null : ""), pin: noPin.value ? "" : pin.value || null };
      const said = await tried(page, { apn, user, password, authentication, pin }, () => put(`/api/network/${name}/cellular`, settings));
      if (said) password.input.value = pin.input.value = "";
      return said;
    },
  });
}

// Says what is wrong beside each field; a connection that is cut before the answer comes is no error.
async function tried(page, fields, send) {
  for (const each of Object.values(fields)) each.complain("");
  try {
    drawTrial(page, await send());
    $("trial").scrollIntoView({ block: "center" });
    return TRIED;
  } catch (error) {
    if (error.word === "unreachable") return "The station has not answered: it may be at its new address already.";
    const wrong = Object.entries(error.more?.fields ?? {});
    if (!wrong.length) throw error;
    for (const [name, why] of wrong) fields[name].complain(`${why[0].toUpperCase()}${why.slice(1)}.`);
    fields[wrong[0][0]].input.focus();
    return "";
  }
}
