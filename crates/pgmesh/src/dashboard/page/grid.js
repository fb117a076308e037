// The mesh as a matrix: a cell for each pair, on a canvas for speed.

import { cut, shortNames } from "./format.js";
import { KINDS, LINKED, ONE_WAY, gapText, kindAt } from "./model.js";

const LARGEST_CELL = 26;
const SMALLEST_CELL = 1.5;
/// Smaller cells have no lines between them.
const LINED = 6;
const ROOM_FOR_NAMES = 150;
/// Below that size names and marks are no longer legible.
const LEGIBLE = 11;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/// Draws into a canvas. `onRead` is told what the pair under the pointer or the
/// cursor is, `onSelect` the node of a row that was chosen.
export function createGrid(canvas, { onRead, onSelect, colours }) {
  const state = { mesh: null, cell: 0, left: 0, cursor: null };
  const move = (cursor) => {
    state.cursor = cursor;
    paint(canvas, state, colours());
    onRead(reading(state));
  };
  canvas.addEventListener("pointermove", (event) => move(cellAt(canvas, state, event)));
  canvas.addEventListener("pointerleave", () => move(null));
  canvas.addEventListener("click", (event) => select(state, cellAt(canvas, state, event), onSelect));
  canvas.addEventListener("keydown", (event) => onKey(event, state, move, onSelect));
  return {
    draw(mesh, { width, height }) {
      state.mesh = mesh;
      fit(canvas, state, width, height);
      paint(canvas, state, colours());
      canvas.setAttribute("aria-label", `matrix of ${mesh.names.length} nodes, ${mesh.gaps.length} gaps; `
        + "arrow keys move between pairs, Enter shows the node of the row");
    },
  };
}

// Size.

function fit(canvas, state, width, height) {
  const count = Math.max(1, state.mesh.names.length);
  const cellFor = (left) => Math.min((width - left - 2) / count, (height - 4) / count);
  state.left = Math.min(ROOM_FOR_NAMES, width * 0.3);
  if (cellFor(state.left) < LEGIBLE) state.left = 2;
  const cell = Math.min(LARGEST_CELL, Math.max(SMALLEST_CELL, cellFor(state.left)));
  state.cell = cell < LINED ? cell : Math.floor(cell);
  const [wide, high] = [state.left + state.cell * count + 1, state.cell * count + 1];
  const scale = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: wide * scale, height: high * scale });
  Object.assign(canvas.style, { width: `${wide}px`, height: `${high}px` });
  canvas.getContext("2d").scale(scale, scale);
}

// Painting.

function paint(canvas, state, colours) {
  if (!state.mesh) return;
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  paintCells(context, state, colours);
  if (state.cell >= LEGIBLE && state.left > 2) paintNames(context, state, colours);
  if (state.cursor) paintCursor(context, state, colours);
}

/// Links first and pale, so that the gaps among tiny cells can be a little larger.
function paintCells(context, state, colours) {
  const { mesh, cell } = state;
  const count = mesh.names.length;
  context.fillStyle = colours.linked;
  context.globalAlpha = 0.42;
  context.fillRect(state.left, 0, count * cell, count * cell);
  context.globalAlpha = 1;
  context.fillStyle = colours.surface;
  for (let row = 0; row < count; row++) fillCell(context, state, row, row, cell);
  if (cell >= LINED) paintLines(context, state, count);
  for (const pair of mesh.gaps) paintGap(context, state, pair, colours);
}

function paintLines(context, { left, cell }, count) {
  for (let n = 0; n <= count; n++) {
    context.fillRect(left + n * cell - 1, 0, 1, count * cell);
    context.fillRect(left, n * cell - 1, count * cell, 1);
  }
}

function paintGap(context, state, pair, colours) {
  const size = Math.max(state.cell - (state.cell >= LINED ? 1 : 0), 3.5);
  const cells = [[pair.a, pair.b], [pair.b, pair.a]];
  context.fillStyle = context.strokeStyle = colours[KINDS[pair.kind]];
  for (const [row, column] of cells) {
    const isHollow = pair.kind === ONE_WAY && row !== pair.seenBy;
    if (isHollow && state.cell >= LINED) strokeCell(context, state, row, column, size - 1);
    else fillCell(context, state, row, column, size);
    if (state.cell >= LEGIBLE) paintMark(context, state, row, column, pair.kind, isHollow ? null : colours.surface);
  }
}

const MARKS = { missing: "×", one_way: "→", unknown: "?", excluded: "–" };

function paintMark(context, state, row, column, kind, colour) {
  const [x, y] = corner(state, row, column);
  const was = context.fillStyle;
  context.fillStyle = colour ?? was;
  context.font = `${Math.min(14, state.cell - 3)}px system-ui, sans-serif`;
  Object.assign(context, { textAlign: "center", textBaseline: "middle" });
  if (colour) context.fillText(MARKS[KINDS[kind]], x + state.cell / 2 - 0.5, y + state.cell / 2);
  context.fillStyle = was;
}

function paintNames(context, state, colours) {
  const size = Math.min(12, state.cell - 1);
  context.font = `${size}px system-ui, sans-serif`;
  Object.assign(context, { textAlign: "right", textBaseline: "middle", fillStyle: colours.text });
  const fits = Math.floor((state.left - 10) / (size * 0.55));
  shortNames(state.mesh.names).forEach((name, row) => {
    context.fillText(cut(name, fits), state.left - 8, (row + 0.5) * state.cell);
  });
}

function paintCursor(context, state, colours) {
  const [x, y] = corner(state, ...state.cursor);
  const [end, far] = [state.left + state.cell * state.mesh.names.length, state.cell * state.mesh.names.length];
  context.strokeStyle = colours.text;
  context.globalAlpha = 0.35;
  context.strokeRect(state.left + 0.5, y + 0.5, end - state.left - 1, state.cell - 1);
  context.strokeRect(x + 0.5, 0.5, state.cell - 1, far - 1);
  context.globalAlpha = 1;
}

const corner = (state, row, column) => [state.left + column * state.cell, row * state.cell];

function fillCell(context, state, row, column, size) {
  const [x, y] = corner(state, row, column);
  const inset = (state.cell - size) / 2;
  context.fillRect(x + inset, y + inset, size, size);
}

function strokeCell(context, state, row, column, size) {
  const [x, y] = corner(state, row, column);
  const inset = (state.cell - size) / 2;
  context.lineWidth = 1.5;
  context.strokeRect(x + inset, y + inset, size, size);
  context.lineWidth = 1;
}

// Pointer and keys.

function cellAt(canvas, state, { clientX, clientY }) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor((clientX - box.left - state.left) / state.cell);
  const row = Math.floor((clientY - box.top) / state.cell);
  return isCell(state, row, column) ? [row, column] : null;
}

function isCell({ mesh }, row, column) {
  const within = (n) => n >= 0 && n < (mesh?.names.length ?? 0);
  return within(row) && within(column);
}

function onKey(event, state, move, onSelect) {
  if (event.key === "Enter") return select(state, state.cursor, onSelect, { byKey: true });
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const [row, column] = state.cursor ?? [0, -1];
  const next = [row + step[0], column + step[1]];
  if (isCell(state, ...next)) move(next);
}

function select(state, cell, onSelect, how) {
  if (cell) onSelect(state.mesh.names[cell[0]], how);
}

function reading({ mesh, cursor }) {
  if (!cursor || !mesh) return "";
  const [row, column] = cursor;
  const names = mesh.names;
  if (row === column) return names[row];
  const kind = kindAt(mesh, row, column);
  const same = ({ a, b }) => (a === row && b === column) || (a === column && b === row);
  const text = kind === LINKED ? "linked" : gapText(mesh, mesh.gaps.find(same));
  return `${names[row]} – ${names[column]}: ${text}`;
}
