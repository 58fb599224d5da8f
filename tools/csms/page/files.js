// SPDX-License-Identifier: Apache-2.0
// The files of the bench's file servers: images for stations to download, logs that they have uploaded.

import { $, api, dayAndClock, el } from "../look/dom.js";
import { newId } from "./operations.js";
import { prepare } from "./request.js";

const isImage = (file) => !file.path.startsWith("logs/");

export async function loadFiles(state) {
  state.files = await api("/api/files").catch(() => null);
  $("files-card").hidden = !state.files?.https;
  if (!state.files?.https) return;
  $("files-address").textContent = `${state.files.https}  ${state.files.ftp}`;
  const rows = state.files.files.map((file) => el("div", { class: "row" },
    el("a", { href: `/files/${file.path.split("/").map(encodeURIComponent).join("/")}`, textContent: file.path }),
    el("small", { textContent: `${file.size.toLocaleString("en")} bytes, ${dayAndClock(new Date(file.modified * 1000).toISOString())}` }),
    isImage(file) ? el("button", { textContent: "Update with it", "aria-label": `Update with ${file.path}`, title: "Signs the image and fills in the UpdateFirmware request below", onclick: () => offer(file.path) }) : null));
  $("files").replaceChildren(...(rows.length ? rows : [el("small", { textContent: "no files yet" })]));
}

// UpdateFirmware with location, certificate and signature of this image.
async function offer(file) {
  const firmware = await api(`/api/firmware?${new URLSearchParams({ file })}`);
  prepare("UpdateFirmware", { requestId: newId(), firmware: { ...firmware, retrieveDateTime: new Date().toISOString() } });
}
