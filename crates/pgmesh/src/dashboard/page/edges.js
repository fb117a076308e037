// The lines between the nodes of the picture.

import { keyed, say, set, svg } from "./dom.js";
import { chord, xy } from "./layout.js";
import { KINDS, LINKED, MISSING, ONE_WAY, gapText, kindAt } from "./model.js";

/// More of one kind are one element, without a title for each.
const MOST_SINGLE = 500;
const CROSS = "M-5-5 5 5M5-5-5 5";

export function createEdges(layer) {
  const bundles = KINDS.map((kind) => layer.appendChild(svg("path", { class: `bundle ${kind}` })));
  const single = layer.appendChild(svg("g"));
  layer.prepend(arrow());
  return {
    /// `places` has a point for each name, `room` the centre and how far from it
    /// lines stay.
    draw(mesh, places, room) {
      const drawable = ({ a, b }) => places.has(mesh.names[a]) && places.has(mesh.names[b]);
      const pairs = [...linkedPairs(mesh), ...mesh.gaps].filter(drawable);
      const byKind = KINDS.map((_, kind) => pairs.filter((pair) => pair.kind === kind));
      const isMany = (kind) => byKind[kind].length > MOST_SINGLE;
      bundles.forEach((path, kind) => set(path, { d: isMany(kind) ? bundled(byKind[kind], mesh, places) : null }));
      keyed(single, pairs.filter(({ kind }) => !isMany(kind)), (pair) => pairKey(mesh, pair), makeEdge,
        (group, pair) => drawEdge(group, pair, mesh, places, room));
    },
  };
}

function arrow() {
  const head = svg("path", { d: "M0 0 10 5 0 10Z" });
  return svg("defs", {}, svg("marker", { id: "arrow", class: "arrow", viewBox: "0 0 10 10", refX: 6, refY: 5,
    markerWidth: 11, markerHeight: 11, markerUnits: "userSpaceOnUse", orient: "auto" }, head));
}

function linkedPairs(mesh) {
  const pairs = [];
  for (let a = 0; a < mesh.names.length; a++) {
    for (let b = a + 1; b < mesh.names.length; b++) {
      if (kindAt(mesh, a, b) === LINKED) pairs.push({ a, b, kind: LINKED });
    }
  }
  return pairs;
}

function bundled(pairs, mesh, places) {
  const line = ({ a, b }) => `M${xy(places.get(mesh.names[a]))}L${xy(places.get(mesh.names[b]))}`;
  return pairs.map(line).join("");
}

const pairKey = (mesh, { a, b }) => `${mesh.names[a]} ${mesh.names[b]}`;

function makeEdge() {
  return svg("g", {}, svg("title"), svg("path", { class: "line" }), svg("path", { class: "cross" }));
}

function drawEdge(group, pair, mesh, places, { centre, clear }) {
  const [title, line, cross] = group.children;
  const [a, b] = [mesh.names[pair.a], mesh.names[pair.b]];
  // An arrow points from the one that says so to the one that does not.
  const [from, to] = pair.seenBy === pair.b ? [b, a] : [a, b];
  const { d, middle } = chord(places.get(from), places.get(to), centre, clear);
  const near = group.classList.contains("near") ? " near" : "";
  set(group, { class: `edge ${KINDS[pair.kind]}${near}`, "data-kind": KINDS[pair.kind], "data-a": a, "data-b": b });
  set(line, { d, "marker-mid": pair.kind === ONE_WAY ? "url(#arrow)" : null });
  const at = `translate(${middle.x.toFixed(1)} ${middle.y.toFixed(1)})`;
  set(cross, pair.kind === MISSING ? { d: CROSS, transform: at } : { d: null });
  say(title, `${a} – ${b}: ${pair.kind === LINKED ? "linked" : gapText(mesh, pair)}`);
}
