// The mesh as a picture: nodes on a circle or by host, pgmesh in the middle, other
// hidden nodes on a shelf below.

import { keyed, say, set, svg } from "./dom.js";
import { createEdges } from "./edges.js";
import { age, cut, nameParts, shortNames } from "./format.js";
import { circle, groups, label } from "./layout.js";
import { byHost, gapsOf } from "./model.js";

const SHELF = 74;
/// How far lines between nodes stay away from pgmesh.
const CLEAR = 28;
/// Turned labels need some pixels of the circle's diameter each.
const LEAST_ARC = 5.5;
/// What a state looks like beside its colour.
const GLYPHS = { up: "", heard: "·", dialing: "…", down: "×", refused: "!", left: "–", held: "‖" };

/// Draws into an svg element; `onSelect` is told the name of a node that was chosen.
export function createPicture(root, onSelect) {
  const layer = (name) => root.appendChild(svg("g", { class: name }));
  const [hulls, spokes, links, nodes] = ["hulls", "spokes", "links", "nodes"].map(layer);
  const edges = createEdges(links);
  listen(root, onSelect);
  return {
    draw(model, options) {
      const plan = arrange(model, options);
      set(root, { viewBox: `0 0 ${options.width} ${options.height}` });
      root.classList.toggle("dense", model.nodes.length > 30);
      drawHulls(hulls, plan);
      drawSpokes(spokes, plan, options.hiddenLinks);
      edges.draw(model.mesh, plan.byName, { centre: plan.centre, clear: plan.clear });
      drawNodes(nodes, plan, model, options.selected);
      spotlight(root, options.selected);
    },
    focus: (name) => find(nodes, name)?.focus({ preventScroll: true }),
  };
}

const find = (layer, name) => [...layer.children].find((node) => node.dataset.node === name);

// Where everything is.

function arrange(model, { view, width, height, hiddenLinks }) {
  const shelf = hiddenLinks && model.hidden.length > 0 ? SHELF : 0;
  const style = labelStyle(model.nodes.length, view, width, height);
  const margin = margins(model.nodes, view === "hosts" ? "hosts" : style, width, height);
  const centre = { x: width / 2, y: (height - shelf) / 2 };
  const radius = Math.max(40, Math.min(width / 2 - margin.x, (height - shelf) / 2 - margin.y));
  const { places, hulls } = placesOf(model.nodes, view, centre, radius);
  const short = shortNames(model.nodes.map(({ node }) => node));
  const drawn = model.nodes.map((member, n) => ({
    member, place: places[n], dot: dotSize(model.nodes.length), style,
    lines: linesOf(member, short[n], style, margin.x, view),
  }));
  const clear = hiddenLinks ? Math.min(CLEAR, radius / 3) : 0;
  const own = { x: centre.x, y: centre.y, name: model.status.node };
  const byName = new Map(drawn.map(({ member, place }) => [member.node, place]));
  return { centre, clear, own, drawn, hulls, byName, hiddenLinks,
    shelf: hiddenLinks ? shelfOf(model.hidden, width, height) : [] };
}

function labelStyle(count, view, width, height) {
  if (view === "hosts") return count > 40 ? "none" : "stacked";
  if (count > Math.min(width, height) / LEAST_ARC) return "none";
  return count > 16 ? "turned" : width < 560 ? "stacked" : "beside";
}

function margins(nodes, style, width, height) {
  const longest = Math.max(6, ...nodes.map(({ alive, host }) => Math.max(alive.length, host.length)));
  const least = Math.min(width, height);
  switch (style) {
    case "beside": return { x: Math.min(Math.max(70, longest * 7 + 34), width * 0.3), y: 52 };
    case "turned": return { x: least * 0.17, y: least * 0.17 };
    case "hosts": return { x: 40, y: 36 };
    case "none": return { x: 24, y: 24 };
    default: return { x: 54, y: 50 };
  }
}

function placesOf(nodes, view, centre, radius) {
  if (view !== "hosts" || nodes.length === 0) return { places: circle(nodes.length, centre, radius), hulls: [] };
  const hosts = byHost(nodes);
  const gap = nodes.length > 60 ? 16 : nodes.length > 16 ? 40 : 92;
  const stretch = Math.min(1.8, Math.max(1, (centre.x - 110) / radius));
  const placed = groups(hosts.map(({ members }) => members), nodes.length, centre, radius, { gap, stretch });
  const hulls = placed.hulls.map((hull, n) => ({ ...hull, host: hosts[n].host }));
  return { ...placed, hulls };
}

const dotSize = (count) => (count <= 16 ? 12 : count <= 40 ? 8.5 : count <= 110 ? 6 : 4);

/// Beside a hull that names the host, the host need not be said again.
function linesOf({ alive, host }, short, style, room, view) {
  if (style === "none") return [];
  if (view === "hosts") return [cut(alive, 16)];
  const fits = Math.floor((style === "stacked" ? 108 : room - 24) / 6.8);
  if (style === "turned") return [cut(short, 22)];
  return [cut(alive, fits), cut(host, fits)];
}

function shelfOf(hidden, width, height) {
  const shown = hidden.slice(0, Math.max(1, Math.floor(width / 128)));
  const first = width / 2 - (128 * (shown.length - 1)) / 2;
  return shown.map((member, n) => ({
    member, place: { x: first + 128 * n, y: height - 46, angle: Math.PI / 2 }, dot: 7, style: "stacked",
    lines: linesOf(nameParts(member.node), "", "stacked", 0),
  }));
}

// Drawing.

function drawHulls(layer, { hulls }) {
  const make = () => svg("g", { class: "hull" }, svg("circle"), svg("text", { "text-anchor": "middle" }));
  keyed(layer, hulls, ({ host }) => host, make, (group, { x, y, radius, host }) => {
    set(group.children[0], { cx: x, cy: y, r: radius });
    set(group.children[1], { x, y: y - radius - 7 });
    say(group.children[1], hulls.length > 16 ? "" : cut(host, 24));
  });
}

/// Our own links, which are hidden ones: to the nodes, and to other hidden nodes.
function drawSpokes(layer, plan, isWanted) {
  const linked = [...plan.drawn, ...plan.shelf].filter(({ member }) => member.state === "up");
  const make = () => svg("line", { class: "spoke" });
  keyed(layer, isWanted ? linked : [], ({ member }) => member.node, make, (line, { place }) =>
    set(line, { x1: plan.own.x, y1: plan.own.y, x2: place.x, y2: place.y }));
}

function drawNodes(layer, plan, model, selected) {
  const own = { own: plan.own, member: { node: plan.own.name } };
  const all = [...(plan.hiddenLinks ? [own] : []), ...plan.drawn, ...plan.shelf];
  keyed(layer, all, ({ member }) => member.node, makeNode, (group, item) => {
    if (item.own) return drawOwn(group, item.own);
    drawNode(group, item, gapsOf(model.mesh, item.member.node), item.member.node === selected);
  });
}

function makeNode({ own, member }) {
  const isSquare = own || member.hidden;
  const shape = isSquare ? svg("rect", { rx: 3 }) : svg("circle");
  const glyph = svg("text", { class: "glyph", "text-anchor": "middle", dy: "0.36em" });
  const text = svg("text", { class: "label" }, svg("tspan"), svg("tspan"));
  return svg("g", { class: own ? "own" : "node" }, svg("title"), shape, glyph, text);
}

function drawOwn(group, { x, y, name }) {
  const [title, shape] = group.children;
  set(group, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` });
  set(shape, { x: -10, y: -10, width: 20, height: 20 });
  say(title, `${name}: pgmesh itself`);
  const [, , , text] = group.children;
  set(text, { y: 25, "text-anchor": "middle" });
  set(text.children[0], { x: 0 });
  say(text.children[0], "pgmesh");
}

function drawNode(group, item, gaps, isSelected) {
  const { member, place, dot } = item;
  const [title, shape, glyph, text] = group.children;
  const about = describe(member, gaps);
  set(group, {
    transform: `translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})`, tabindex: 0, role: "button",
    "aria-label": about, "aria-pressed": isSelected, "data-node": member.node,
    "data-state": member.state, "data-hidden": member.hidden,
  });
  set(shape, member.hidden ? { x: -dot, y: -dot, width: 2 * dot, height: 2 * dot } : { r: dot });
  say(title, about);
  say(glyph, dot > 6 ? (GLYPHS[member.state] ?? "?") : "");
  drawLabel(text, item);
}

function drawLabel(text, { place, dot, style, lines }) {
  const at = style === "none" ? { x: 0, y: 0 } : label(place, style, dot + 8, lines.length);
  const turn = at.turn == null ? null : `rotate(${at.turn.toFixed(1)})`;
  set(text, { x: at.x, y: at.y, "text-anchor": at.anchor, transform: turn, dy: style === "turned" ? "0.33em" : null });
  set(text.children[0], { x: at.x });
  set(text.children[1], { x: at.x, dy: "1.15em" });
  say(text.children[0], lines[0] ?? "");
  say(text.children[1], lines[1] ?? "");
}

function describe(member, gaps) {
  const kind = member.hidden ? "hidden node, " : "";
  const since = `${member.state} for ${age(member.since_s)}`;
  const apart = gaps.length > 0 ? `, not connected to ${gaps.length}` : "";
  return `${member.node}: ${kind}${since}${apart}${member.error ? `, ${member.error.kind}` : ""}`;
}

// Pointer and keys.

function listen(root, onSelect) {
  const nodeOf = (event) => event.target.closest?.("[data-node]")?.dataset.node;
  root.addEventListener("click", (event) => onSelect(nodeOf(event) ?? null));
  root.addEventListener("keydown", (event) => {
    if ((event.key !== "Enter" && event.key !== " ") || !nodeOf(event)) return;
    event.preventDefault();
    onSelect(nodeOf(event), { byKey: true });
  });
  for (const type of ["pointerover", "focusin"]) {
    root.addEventListener(type, (event) => spotlight(root, nodeOf(event) ?? pressed(root)));
  }
  root.addEventListener("pointerleave", () => spotlight(root, pressed(root)));
}

const pressed = (root) => root.querySelector('[aria-pressed="true"]')?.dataset.node;

/// Lets the connections of one node stand out.
function spotlight(root, name) {
  root.classList.toggle("spot", name != null);
  for (const edge of root.querySelectorAll(".edge")) {
    edge.classList.toggle("near", edge.dataset.a === name || edge.dataset.b === name);
  }
}
