// SPDX-License-Identifier: Apache-2.0
// The id tokens that the bench knows.

import { $, api, cell, el, pill, table } from "../look/dom.js";

const STATUSES = ["Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx", "NoCredit", "NotAllowedTypeEVSE", "NotAtThisLocation", "NotAtThisTime", "Unknown"];

export function renderTokens(state) {
  const rows = state.tokens.map((token) => el("tr", {},
    cell(el("code", { textContent: token.id_token })), cell(token.type),
    cell(pill(token.status, token.status === "Accepted" ? "good" : "bad")), cell(token.group_id_token ?? "–"),
    cell(el("button", { textContent: "Delete", "aria-label": `Delete token ${token.id_token}`, onclick: () => change("DELETE", token.id_token) }), "number")));
  $("tokens").replaceChildren(table([["Id"], ["Type"], ["Status"], ["Group"], [""]], rows, "cards"));
}

export function watchTokenForm() {
  $("token-status").replaceChildren(...STATUSES.map((status) => el("option", { textContent: status })));
  $("token-add").addEventListener("click", async () => {
    const id = $("token-id").value.trim();
    if (!id) return $("token-id").focus();
    const done = await change("PUT", id, { status: $("token-status").value, group_id_token: $("token-group").value.trim() || null });
    if (done) $("token-id").value = "";
  });
}

async function change(method, id, body) {
  $("token-error").hidden = true;
  try {
    await api(`/api/tokens/${encodeURIComponent(id)}`, { method, body });
    return true;
  } catch (error) {
    $("token-error").textContent = error.message;
    $("token-error").hidden = false;
    return false;
  }
}
