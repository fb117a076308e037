// The pairs that are not connected, as a list: what the picture shows, to be read.

import { el } from "./dom.js";
import { KINDS, gapText } from "./model.js";

const MOST_LISTED = 40;

export function drawGapList(root, mesh, onSelect) {
  const key = JSON.stringify([mesh.names.length, mesh.gaps.slice(0, MOST_LISTED), mesh.gaps.length]);
  if (root.dataset.shown === key) return;
  root.dataset.shown = key;
  root.hidden = mesh.gaps.length === 0;
  const rows = mesh.gaps.slice(0, MOST_LISTED).map((gap) => row(mesh, gap, onSelect));
  const more = mesh.gaps.length - rows.length;
  if (more > 0) rows.push(el("li", { class: "more" }, `and ${more} more`));
  root.replaceChildren(el("h2", {}, `Not connected: ${mesh.gaps.length}`), el("ul", {}, ...rows));
}

function row(mesh, gap, onSelect) {
  const end = (node) => {
    const button = el("button", { class: "link", type: "button" }, mesh.names[node]);
    button.addEventListener("click", () => onSelect(mesh.names[node]));
    return button;
  };
  const kind = el("span", { class: "kind" }, KINDS[gap.kind].replace("_", "-"));
  return el("li", { class: KINDS[gap.kind], title: gapText(mesh, gap) }, kind, end(gap.a), " – ", end(gap.b));
}
