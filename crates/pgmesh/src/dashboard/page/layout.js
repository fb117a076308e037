// Where things are in the picture, in pixels. Pure.

const TURN = 2 * Math.PI;
const TOP = -TURN / 4;

export function onCircle(centre, radius, angle) {
  return { x: centre.x + radius * Math.cos(angle), y: centre.y + radius * Math.sin(angle), angle };
}

/// Evenly on a circle, the first at the top.
export function circle(count, centre, radius, start = TOP) {
  const at = (n) => onCircle(centre, count === 1 ? 0 : radius, start + (TURN * n) / count);
  return Array.from({ length: count }, (_, n) => at(n));
}

/// Groups (arrays of node indices) on an ellipse as wide as `stretch` wants it, each a
/// small circle of its own. Gives a place for each node and a hull for each group.
export function groups(members, nodes, centre, radius, { gap, stretch }) {
  if (members.length === 1) return onlyGroup(nodes, centre, radius);
  const largest = Math.max(...members.map((group) => ringRadius(group.length, gap))) + gap / 2;
  const room = roomOnCircle(members.length, radius);
  const scale = Math.min(1, room / largest);
  const centres = circle(members.length, centre, radius - Math.min(room, largest))
    .map((place) => ({ ...place, x: centre.x + (place.x - centre.x) * stretch }));
  const places = new Array(nodes);
  const hulls = members.map((group, n) => {
    const ring = ringRadius(group.length, gap) * scale;
    // A little askew, or the nodes of several hosts would stand in one line.
    circle(group.length, centres[n], ring, centres[n].angle + 0.45).forEach((place, m) => (places[group[m]] = place));
    return { ...centres[n], radius: ring + Math.max(14, (gap * scale) / 2) };
  });
  return { places, hulls };
}

function onlyGroup(nodes, centre, radius) {
  return { places: circle(nodes, centre, radius - 24), hulls: [{ ...centre, radius }] };
}

/// The largest radius of circles that touch each other and the outer one.
function roomOnCircle(count, radius) {
  const half = Math.sin(Math.PI / count);
  return (0.9 * radius * half) / (1 + half);
}

function ringRadius(count, gap) {
  return count === 1 ? 0 : Math.max(gap * 0.55, (gap * count) / TURN);
}

/// A path from p to q that passes the centre at a distance, with a vertex in its
/// middle for a mark.
export function chord(p, q, centre, clear) {
  const middle = { x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 };
  const away = { x: middle.x - centre.x, y: middle.y - centre.y };
  const distance = Math.hypot(away.x, away.y);
  if (distance >= clear) return { d: `M${xy(p)}L${xy(middle)}L${xy(q)}`, middle };
  const out = direction(away, distance, p, q);
  const top = { x: centre.x + out.x * clear, y: centre.y + out.y * clear };
  const pull = { x: 2 * top.x - middle.x, y: 2 * top.y - middle.y };
  const [left, right] = [between(p, pull), between(pull, q)];
  return { d: `M${xy(p)}Q${xy(left)} ${xy(top)}Q${xy(right)} ${xy(q)}`, middle: top };
}

/// Through the very centre any side is as good.
function direction(away, distance, p, q) {
  if (distance > 1) return { x: away.x / distance, y: away.y / distance };
  const length = Math.hypot(q.x - p.x, q.y - p.y) || 1;
  return { x: (p.y - q.y) / length, y: (q.x - p.x) / length };
}

const between = (p, q) => ({ x: (p.x + q.x) / 2, y: (p.y + q.y) / 2 });

export const xy = ({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`;

/// Where the first of a label's lines stands beside a place of the circle: turned
/// outward, beside it or, where there is little room, above or below.
export function label({ angle }, style, offset, lines) {
  const [right, down] = [Math.cos(angle), Math.sin(angle)];
  if (style === "turned") return turned(angle, right, offset);
  const isBeside = style === "beside" && Math.abs(right) > 0.3;
  if (!isBeside) return { x: 0, y: down < -0.4 ? -offset - 16 * (lines - 1) : offset + 11, anchor: "middle" };
  return { x: Math.sign(right) * offset, y: down * offset * 0.6 - 2, anchor: right > 0 ? "start" : "end" };
}

function turned(angle, right, offset) {
  const degrees = (angle * 360) / TURN;
  return right >= 0
    ? { x: offset, y: 0, anchor: "start", turn: degrees }
    : { x: -offset, y: 0, anchor: "end", turn: degrees + 180 };
}
