// The strip of events, the newest on top.

import { el } from "./dom.js";
import { clock } from "./format.js";

const MOST_KEPT = 200;

export function createEventStrip(list, onlyWarnings) {
  const known = new Set();
  onlyWarnings.addEventListener("change", () => list.classList.toggle("only-warnings", onlyWarnings.checked));
  return {
    /// Takes an event as its JSON text. Whoever reads again after a break is told
    /// some twice: those are taken once.
    add(json) {
      if (known.has(json)) return;
      known.add(json);
      list.prepend(row(JSON.parse(json), json));
      while (list.children.length > MOST_KEPT) {
        known.delete(list.lastChild.json);
        list.lastChild.remove();
      }
    },
  };
}

function row(event, json) {
  const time = el("time", { datetime: event.at, title: event.at }, clock(event.at));
  const what = el("b", {}, event.event);
  const level = event.level ?? "info";
  const item = el("li", { "data-level": level, "data-event": event.event },
    time, el("span", { class: "text" }, what, ` ${event.message ?? event.node ?? ""}`));
  return Object.assign(item, { json });
}
