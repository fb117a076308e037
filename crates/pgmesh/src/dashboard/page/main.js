// Puts the page together: what is known, what is chosen, and who draws it.

import { drawCards } from "./cards.js";
import { byId, say, set } from "./dom.js";
import { createEventStrip } from "./events.js";
import { clock } from "./format.js";
import { drawGapList } from "./gaps.js";
import { createGrid } from "./grid.js";
import { follow } from "./live.js";
import { toModel } from "./model.js";
import { closeOnEscape, createPanel } from "./panel.js";
import { createPicture } from "./picture.js";
import { createTheme } from "./theme.js";

/// More nodes than that are shown as a matrix, unless a person wants otherwise.
const MOST_IN_PICTURE = 30;

/// `at` says when the status was fetched, and when the whole state was.
const known = { answers: {}, model: null, at: {}, lostSince: null, lastSeen: Date.now() };
const chosen = { view: null, node: null, hiddenLinks: null };

const picture = createPicture(byId("picture"), select);
const grid = createGrid(byId("grid"), { onSelect: select, onRead: (text) => say(byId("reading"), text), colours });
const panel = createPanel(byId("panel"), { onClose: deselect, onSelect: select });
const strip = createEventStrip(byId("events"), byId("only-warnings"));

// What is known.

function onState(answers) {
  const isWhole = "matrix" in answers;
  Object.assign(known.answers, answers);
  Object.assign(known.at, { status: performance.now(), ...(isWhole && { whole: performance.now() }) });
  Object.assign(known, { model: toModel(known.answers), lostSince: null, lastSeen: Date.now() });
  if (isWhole) return draw();
  drawConnection();
  drawAges();
}

function onLost() {
  known.lostSince ??= known.lastSeen;
  drawConnection();
}

/// How many seconds ago something was fetched: ages go on meanwhile.
const passed = (what) => (performance.now() - known.at[what]) / 1000;

// What is chosen.

function select(name, { byKey = false } = {}) {
  chosen.node = name;
  draw();
  if (byKey && name != null) panel.focus();
}

function deselect() {
  const name = chosen.node;
  select(null);
  if (viewNow() === "matrix") byId("grid").focus({ preventScroll: true });
  else picture.focus(name);
}

function viewNow() {
  return chosen.view ?? (known.model.nodes.length > MOST_IN_PICTURE ? "matrix" : "circle");
}

/// Hundreds of lines of our own would hide those between the nodes.
function wantsHiddenLinks() {
  return chosen.hiddenLinks ?? known.model.nodes.length <= MOST_IN_PICTURE;
}

// Drawing.

function draw() {
  drawConnection();
  if (!known.model) return;
  say(byId("own"), `${known.model.status.node} · ${known.model.status.version}`);
  drawStage();
  drawGapList(byId("gaps"), known.model.mesh, select);
  drawAges();
}

function drawAges() {
  if (!known.model) return;
  drawCards(byId("cards"), known.model, passed);
  panel.draw(known.model, chosen.node, passed("whole"));
}

function drawStage() {
  const view = viewNow();
  const box = byId("stage").getBoundingClientRect();
  const size = { width: Math.round(box.width), height: Math.round(box.height) };
  drawTools(view);
  set(byId("picture"), { hidden: view === "matrix" ? "" : null });
  byId("grid").hidden = view !== "matrix";
  if (view === "matrix") grid.draw(known.model.mesh, size);
  else picture.draw(known.model, { view, ...size, selected: chosen.node, hiddenLinks: wantsHiddenLinks() });
  drawEmpty();
}

function drawTools(view) {
  for (const button of byId("views").children) set(button, { "aria-pressed": button.dataset.view === view });
  byId("hidden-links").checked = wantsHiddenLinks();
  set(byId("legend"), { "data-view": view });
}

function drawEmpty() {
  const { nodes, left_out: leftOut } = known.model;
  const empty = byId("empty");
  empty.hidden = nodes.length > 0 && leftOut === 0;
  say(empty, nodes.length === 0
    ? "No nodes yet. Whoever is heard on the Postgres channel, or found in this host's EPMD, appears here."
    : `and ${leftOut} more names without a link`);
}

function drawConnection() {
  const isLost = known.lostSince != null;
  document.body.dataset.connection = isLost ? "lost" : known.model ? "live" : "connecting";
  say(byId("connection"), isLost ? "no connection" : known.model ? "live" : "connecting");
  const lost = byId("lost");
  lost.hidden = !isLost;
  if (!isLost) return say(lost, "");
  const since = `no connection to pgmesh since ${clock(known.lostSince)}`;
  say(lost, known.model ? `${since}: this is how it was then. Trying again.` : `${since}. Trying again.`);
}

/// Canvas knows no CSS variables: the legend's marks have the colours.
function colours() {
  const colour = (selector) => getComputedStyle(document.querySelector(selector)).color;
  const kinds = ["linked", "missing", "one_way", "unknown", "excluded"];
  const marks = kinds.map((kind) => [kind, colour(`#legend .${kind} i`)]);
  const surface = getComputedStyle(document.querySelector(".mesh")).backgroundColor;
  return { ...Object.fromEntries(marks), text: colour("body"), surface };
}

// Whatever a person does, and time.

byId("views").addEventListener("click", ({ target }) => {
  if (!target.dataset.view) return;
  chosen.view = target.dataset.view;
  draw();
});
byId("hidden-links").addEventListener("change", ({ target }) => {
  chosen.hiddenLinks = target.checked;
  draw();
});
closeOnEscape(deselect);
createTheme(byId("theme"), draw);
new ResizeObserver(() => known.model && drawStage()).observe(byId("stage"));
setInterval(() => known.lostSince == null && drawAges(), 1000);
follow({ onState, onLost, onEvent: (json) => strip.add(json) });
