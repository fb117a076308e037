// Numbers, times and names as people read them.

/// A duration in seconds: 0.8 s, 12 s, 3 min, 2 h 5 min, 4 d.
export function age(seconds) {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 48 * 3600) return hours(Math.floor(seconds / 60));
  return `${Math.floor(seconds / 86400)} d`;
}

function hours(minutes) {
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}

/// The time of day here, of a date or an RFC 3339 text.
export function clock(at) {
  const date = new Date(at);
  const two = (number) => String(number).padStart(2, "0");
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
}

export function count(number, word) {
  return `${number} ${word}${number === 1 ? "" : "s"}`;
}

export function nameParts(name) {
  const at = name.indexOf("@");
  return { alive: name.slice(0, at), host: name.slice(at + 1) };
}

/// The shortest form in which all names still differ: of app@10.0.0.1 and
/// app@10.0.0.2 the hosts, of a@h and b@h what stands before them.
export function shortNames(names) {
  const parts = names.map(nameParts);
  for (const part of ["alive", "host"]) {
    const short = parts.map((name) => name[part]);
    if (new Set(short).size === names.length) return short;
  }
  return names;
}

/// As people count: app2 before app10.
export const natural = new Intl.Collator("en", { numeric: true }).compare;

export function cut(text, length) {
  return text.length <= length ? text : `${text.slice(0, Math.max(1, length - 1))}…`;
}
