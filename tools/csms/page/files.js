// SPDX-License-Identifier: Apache-2.0
// What the bench's file servers hold: images that stations may fetch, logs that they brought.

import { $, api, dayAndClock, el } from "/static/dom.js";
import { prepare } from "/static/request.js";

export async function loadFiles(state) {
  state.files = await api("/api/files").catch(() => null);
  $("files-card").hidden = !state.files?.https;
  if (!state.files?.https) return;
  $("files-address").textContent = `${state.files.https}  ${state.files.ftp}`;
  const rows = state.files.files.map((file) => el("div", { class: "row" },
    el("a", { href: `/files/${file.path.split("/").map(encodeURIComponent).join("/")}`, textContent: file.path }),
    el("small", { textContent: `${file.size.toLocaleString("en")} bytes, ${dayAndClock(new Date(file.modified * 1000).toISOString())}` })));
  $("files").replaceChildren(...(rows.length ? rows : [el("small", { textContent: "no files yet" })]));
}

export function watchFiles(state) {
  $("files-root").addEventListener("click", () => {
    prepare("InstallCertificate", { certificateType: "CSMSRootCertificate", certificate: state.files.root });
  });
}
