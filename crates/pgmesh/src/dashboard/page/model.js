// What the daemon's JSON means for a picture. Pure: no page, no clock.

import { count, nameParts, natural } from "./format.js";

export const LINKED = 1;
export const MISSING = 2;
export const ONE_WAY = 3;
export const UNKNOWN = 4;
export const EXCLUDED = 5;
/// By number; 0 is a node with itself.
export const KINDS = ["itself", "linked", "missing", "one_way", "unknown", "excluded"];
/// Who has no link takes room last: a flood of names must not hide the mesh.
const MOST_DRAWN = 300;

/// From the answers of /api/v1/status, members and matrix.
export function toModel({ status, members, matrix }) {
  const visible = members.filter((member) => !member.hidden);
  const drawn = mostTelling(visible).sort((a, b) => natural(a.node, b.node));
  const nodes = drawn.map((member) => ({ ...member, ...nameParts(member.node) }));
  return {
    status,
    nodes,
    left_out: visible.length - nodes.length,
    hidden: members.filter((member) => member.hidden),
    mesh: toMesh(matrix),
    byName: new Map(members.map((member) => [member.node, member])),
  };
}

function mostTelling(members) {
  const weight = (member) => (member.state === "up" ? 0 : member.creation != null ? 1 : 2);
  return [...members].sort((a, b) => weight(a) - weight(b)).slice(0, MOST_DRAWN);
}

/// Every pair of the nodes that pgmesh is linked to; kinds has one number a cell.
export function toMesh(matrix) {
  const names = [...matrix.nodes].sort(natural);
  const places = new Map(names.map((name, place) => [name, place]));
  const gaps = toGaps(matrix, matrix.nodes.map((name) => places.get(name)));
  const kinds = new Uint8Array(names.length ** 2).fill(LINKED);
  names.forEach((_, node) => (kinds[node * names.length + node] = 0));
  for (const { a, b, kind } of gaps) {
    kinds[a * names.length + b] = kind;
    kinds[b * names.length + a] = kind;
  }
  return { names, kinds, gaps, linked: matrix.linked, age_s: matrix.age_s };
}

function toGaps(matrix, place) {
  const pair = (one, other) => ({ a: Math.min(one, other), b: Math.max(one, other) });
  const gaps = (pairs, kind) => pairs.map(([a, b]) => ({ ...pair(place[a], place[b]), kind }));
  const oneWay = gaps(matrix.one_way, ONE_WAY);
  oneWay.forEach((gap, n) => (gap.seenBy = place[matrix.one_way_seen_by[n]]));
  return [
    ...gaps(matrix.missing, MISSING),
    ...oneWay,
    ...gaps(matrix.unknown, UNKNOWN),
    ...gaps(matrix.excluded, EXCLUDED),
  ];
}

export const kindAt = (mesh, a, b) => mesh.kinds[a * mesh.names.length + b];

/// What a gap means, in words.
export function gapText(mesh, gap) {
  switch (gap.kind) {
    case MISSING: return "missing: neither sees the other";
    case ONE_WAY: return `one-way: only ${mesh.names[gap.seenBy]} says that it stands`;
    case UNKNOWN: return "unknown: not both have told yet";
    default: return "excluded: held, stopping, not allowed, or of releases that refuse each other";
  }
}

/// The gaps of one node, with the other end of each.
export function gapsOf(mesh, name) {
  const node = mesh.names.indexOf(name);
  const own = mesh.gaps.filter((gap) => gap.a === node || gap.b === node);
  return own.map((gap) => ({ ...gap, peer: mesh.names[gap.a === node ? gap.b : gap.a] }));
}

/// The state of the mesh in a few words, and how good it is.
export function verdict(mesh) {
  const of = (kind) => mesh.gaps.filter((gap) => gap.kind === kind).length;
  const [missing, oneWay, unknown, apart] = [MISSING, ONE_WAY, UNKNOWN, EXCLUDED].map(of);
  if (missing > 0) return { level: "bad", text: `${count(missing, "pair")} missing` };
  if (oneWay > 0) return { level: "warn", text: `${count(oneWay, "pair")} one-way` };
  if (unknown > 0) return { level: "warn", text: `${count(unknown, "pair")} unknown` };
  if (mesh.names.length === 0) return { level: "idle", text: "no nodes yet" };
  if (mesh.names.length === 1) return { level: "idle", text: "one node" };
  return { level: "good", text: apart > 0 ? `full but for ${count(apart, "pair")}` : "full mesh" };
}

/// How the Postgres session and our ears are, and how good that is.
export function ears(postgres) {
  const levels = { listening: "good", connecting: "warn", off: "idle" };
  return { level: levels[postgres.state] ?? "bad", text: postgres.state };
}

/// By host, in order, with the positions of the nodes in `nodes`.
export function byHost(nodes) {
  const hosts = new Map();
  nodes.forEach(({ host }, index) => hosts.set(host, [...(hosts.get(host) ?? []), index]));
  return [...hosts].sort(([a], [b]) => natural(a, b)).map(([host, members]) => ({ host, members }));
}
