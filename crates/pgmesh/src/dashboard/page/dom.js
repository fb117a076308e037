// Makes and changes elements. Text is always text: names and messages come from
// strangers, so nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/// An element with attributes; children are elements or texts, and null is none.
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  set(element, attributes);
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/// Sets attributes; null removes one.
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}

/// Changes a text only if it is another one: what a person has marked stays marked.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/// One child for each item, kept from one drawing to the next by its key, so that
/// focus and transitions survive.
export function keyed(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  for (const item of items) {
    const name = key(item);
    const child = known.get(name) ?? made(parent, make(item), name);
    known.delete(name);
    update(child, item);
  }
  for (const child of known.values()) child.remove();
}

function made(parent, child, name) {
  child.dataset.key = name;
  parent.append(child);
  return child;
}
