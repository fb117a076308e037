// The summary above the picture: the mesh, its nodes, Postgres and our ears, the daemon.

import { el, keyed, say, set } from "./dom.js";
import { age, count } from "./format.js";
import { ears, verdict } from "./model.js";

/// `passed` tells how many seconds ago the "status" or the "whole" was fetched.
export function drawCards(root, model, passed) {
  const cards = [meshCard(model, passed("whole")), nodesCard(model), postgresCard(model.status, passed("status")),
    daemonCard(model.status, passed("status"))];
  keyed(root, cards, ({ id }) => id, make, update);
}

function make({ id }) {
  return el("article", { class: "card fact", id: `card-${id}` },
    el("h2"), el("p", { class: "big" }), el("p", { class: "sub" }), el("p", { class: "error", hidden: "" }));
}

function update(card, { title, level, text, sub, error }) {
  const [heading, big, small, trouble] = card.children;
  set(card, { "data-level": level });
  say(heading, title);
  say(big, text);
  say(small, sub);
  set(trouble, { hidden: error ? null : "" });
  say(trouble, error ? `${error.kind}: ${error.message}` : "");
}

function meshCard({ mesh }, passed) {
  const nodes = mesh.names.length;
  const pairs = (nodes * (nodes - 1)) / 2;
  const parts = [`${mesh.linked} of ${count(pairs, "pair")} linked`];
  if (nodes > 0) parts.push(`seen within ${age(mesh.age_s + passed)}`);
  return { id: "mesh", title: "Mesh", ...verdict(mesh), sub: listed(parts) };
}

function nodesCard({ status: { counts } }) {
  const others = ["dialing", "down", "refused", "left", "held", "hidden"].filter((state) => counts[state] > 0);
  const waiting = counts.heard - ["dialing", "up", "down", "refused", "left", "held"].reduce((n, s) => n + counts[s], 0);
  const parts = others.map((state) => `${counts[state]} ${state}`);
  if (waiting > 0) parts.unshift(`${waiting} heard`);
  const level = counts.down + counts.refused > 0 ? "warn" : counts.up > 0 ? "good" : "idle";
  return { id: "nodes", title: "Nodes", level, text: `${counts.up} of ${counts.heard} linked`,
    sub: listed(parts) || "nobody else is known" };
}

function postgresCard({ postgres, frozen }, passed) {
  const isOff = postgres.state === "off";
  const parts = [isOff ? "no --database-url" : channelText(postgres)];
  if (postgres.last_echo_s != null) parts.push(`echo ${age(postgres.last_echo_s + passed)} ago`);
  if (frozen) parts.push("frozen: nobody is forgotten");
  return { id: "postgres", title: "Postgres, our ears", ...ears(postgres), sub: listed(parts), error: postgres.error };
}

function channelText({ channel, channel_from_cookie: fromCookie }) {
  if (channel != null) return `channel ${channel}`;
  return fromCookie ? "channel from the cookie" : "no channel";
}

function daemonCard(status, passed) {
  const { join, announce, introduce } = status.scopes;
  const parts = [`up ${age(status.uptime_s + passed)}`, epmdText(status.epmd), ...(status.leader ? ["leads"] : []),
    `join ${join}`, `announce ${announce}`, `introduce ${introduce}`];
  return { id: "daemon", title: "This daemon", level: status.ready ? "good" : "warn",
    text: status.ready ? "ready" : "not ready", sub: listed(parts),
    error: status.ready ? null : { kind: "waiting", message: status.not_ready_because } };
}

function epmdText({ mode, registered }) {
  if (mode === "none") return "no EPMD";
  return registered ? "in EPMD" : "not in EPMD";
}

/// Lines break between the parts, not within.
function listed(parts) {
  return parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · ");
}
