// All about one node, beside the picture.

import { byId, el, say, set } from "./dom.js";
import { age, count } from "./format.js";
import { gapText, gapsOf } from "./model.js";

const MOST_GAPS = 12;
const DIRECTIONS = { initiator: "pgmesh dialled", acceptor: "the node dialled" };

export function createPanel(root, { onClose, onSelect }) {
  const heading = el("h2", { tabindex: -1, id: "panel-name" });
  const close = el("button", { class: "quiet", type: "button", "aria-label": "close", title: "close (Escape)" }, "×");
  const [state, facts, gaps] = [el("p", { class: "state" }), el("dl"), el("ul")];
  const [error, apart] = [el("p", { class: "error", id: "panel-error" }), el("h3")];
  root.append(el("div", { class: "heading" }, heading, close), state, error, facts, apart, gaps);
  close.addEventListener("click", () => onClose());
  return {
    /// `name` may be of somebody who has been forgotten meanwhile, or null.
    draw(model, name, passed) {
      set(root, { hidden: name == null ? "" : null });
      if (name == null) return;
      const member = model.byName.get(name);
      say(heading, name);
      drawState(state, member, passed);
      drawError(error, member);
      drawFacts(facts, member ? factsOf(member, passed) : []);
      drawGaps({ apart, gaps }, model.mesh, name, onSelect);
    },
    focus: () => heading.focus(),
  };
}

function drawState(state, member, passed) {
  set(state, { "data-state": member?.state ?? "forgotten" });
  say(state, member ? stateText(member, passed) : "forgotten: it is no longer known");
}

function stateText(member, passed) {
  const since = age(member.since_s + passed);
  return member.state === "up" ? `up, linked for ${since}` : `${member.state}, without a link for ${since}`;
}

function drawError(error, member) {
  set(error, { hidden: member?.error ? null : "" });
  say(error, member?.error ? `${member.error.kind}: ${member.error.message}` : "");
}

function factsOf(member, passed) {
  const heard = member.last_heard_s;
  return [
    ...(member.hidden ? [["kind", "hidden node"]] : []),
    ["OTP release", member.otp ?? "–"],
    ["link", DIRECTIONS[member.direction] ?? "none"],
    ["lives", member.local ? "on our host" : "on another host"],
    ["last heard", heard == null ? "never" : `${age(heard + passed)} ago`],
    ["creation", member.creation ?? "–"],
    ...(member.attempts > 0 ? [["failed dials", member.attempts]] : []),
    ...(member.error ? [] : [["last error", "none"]]),
  ];
}

function drawFacts(list, facts) {
  const key = facts.map(([name]) => name).join();
  if (list.dataset.names !== key) {
    list.replaceChildren(...facts.flatMap(([name]) => [el("dt", {}, name), el("dd")]));
    list.dataset.names = key;
  }
  facts.forEach(([, value], n) => say(list.children[2 * n + 1], String(value)));
}

function drawGaps({ apart, gaps }, mesh, name, onSelect) {
  const own = gapsOf(mesh, name);
  set(apart, { hidden: own.length > 0 ? null : "" });
  say(apart, `not connected to ${count(own.length, "node")}`);
  const rows = own.slice(0, MOST_GAPS).map((gap) => gapRow(gap.peer, gapText(mesh, gap), () => onSelect(gap.peer)));
  const more = own.length > MOST_GAPS ? [el("li", {}, `and ${own.length - MOST_GAPS} more`)] : [];
  replaceIfNew(gaps, [...rows, ...more]);
}

function gapRow(peer, text, onClick) {
  const button = el("button", { class: "link", type: "button" }, peer);
  button.addEventListener("click", onClick);
  return el("li", {}, button, ` ${text}`);
}

/// Focus on a button inside survives as long as the texts stay.
function replaceIfNew(list, rows) {
  const text = rows.map((row) => row.textContent).join("\n");
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.replaceChildren(...rows);
}

/// Escape closes, wherever the focus is.
export function closeOnEscape(onClose) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !byId("panel").hidden) onClose();
  });
}
