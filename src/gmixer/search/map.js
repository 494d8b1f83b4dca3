"use strict";
// N points. A place is in units of the map, whose longer side is 1 long; its middle is 0.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const packed = new Uint16Array(bytesOf(data.places).buffer);
const N = data.paths.length;
const X = new Float32Array(N), Y = new Float32Array(N);
for (let i = 0; i < N; i++) {
  X[i] = packed[2 * i] / 65535 * 1.2 - 0.6;
  Y[i] = packed[2 * i + 1] / 65535 * 1.2 - 0.6;
}
const wordsOf = (table) => {
  const which = new Int32Array(bytesOf(table.which).buffer);
  return (i) => which[i] < 0 ? "" : table.words[which[i]];
};
const label = wordsOf(data.labels), prediction = wordsOf(data.predictions);
const colorings = data.colorings.map((c) => ({ ...c, group: new Int8Array(bytesOf(c.groups).buffer) }));

const canvas = byId("map"), context = canvas.getContext("2d"), panel = byId("panel"), card = byId("card"), fold = byId("fold");
const narrow = matchMedia("(max-width: 700px)"), dark = matchMedia("(prefers-color-scheme: dark)");
const THUMB = 60, GAP = 8; // pixels of a thumbnail on the map, and between two of them
const CROWD = 1500; // points in view: thumbnails among more would hide them, so they come with the zoom, farther apart
const MANY = 3000; // points in view that are faster as single pixels than as pictures of a dot
let width = 0, height = 0, ratio = 1;
let view = { x: 0, y: 0, scale: 1 }; // the place at the middle, and pixels per unit
let home = 1; // the scale that shows the whole map
let coloring = colorings[0];
let only = null; // the group that stands out; null: all
let query = "", matches = null; // Uint8Array: which points stand out; null: all
let selected = -1, hovered = -1, withImages = true;
let drawnImages = []; // [i, left, top, width, height], the last on top
let colors = [], theme = {};
let waiting = false;

// ---- near which point is a place: a grid of cells, each with its points

const CELLS = 128;
const cellOf = (at) => Math.max(0, Math.min(CELLS - 1, Math.floor((at + 0.6) / 1.2 * CELLS)));
const cellStart = new Int32Array(CELLS * CELLS + 1), inCells = new Int32Array(N);
for (let i = 0; i < N; i++) cellStart[cellOf(Y[i]) * CELLS + cellOf(X[i]) + 1]++;
for (let c = 0; c < CELLS * CELLS; c++) cellStart[c + 1] += cellStart[c];
{
  const next = cellStart.slice();
  for (let i = 0; i < N; i++) inCells[next[cellOf(Y[i]) * CELLS + cellOf(X[i])]++] = i;
}

function nearest(left, top, most) {
  const x = (left - width / 2) / view.scale + view.x, y = (top - height / 2) / view.scale + view.y, reach = most / view.scale;
  let best = -1, least = reach * reach;
  for (let row = cellOf(y - reach); row <= cellOf(y + reach); row++)
    for (let column = cellOf(x - reach); column <= cellOf(x + reach); column++) {
      const cell = row * CELLS + column;
      for (let k = cellStart[cell]; k < cellStart[cell + 1]; k++) {
        const i = inCells[k], distance = (X[i] - x) ** 2 + (Y[i] - y) ** 2;
        if (distance <= least && (!matches || matches[i])) { best = i; least = distance; }
      }
    }
  return best;
}

function pointAt(left, top, most) {
  for (let k = drawnImages.length - 1; k >= 0; k--) {
    const [i, l, t, w, h] = drawnImages[k];
    if (left >= l && left <= l + w && top >= t && top <= t + h) return i;
  }
  return nearest(left, top, most);
}

// ---- drawing

const images = new Map();
function imageOf(i) {
  if (!data.thumbnails[i]) return null;
  let image = images.get(i);
  if (!image) {
    image = new Image();
    image.onload = redraw;
    image.src = "data:image/jpeg;base64," + data.thumbnails[i];
    images.set(i, image);
  }
  return image.complete && image.naturalWidth ? image : null;
}

function readTheme() {
  const style = getComputedStyle(document.documentElement), value = (name) => style.getPropertyValue(name).trim();
  theme = { paper: value("--paper"), other: value("--other"), ink: value("--ink"), line: value("--line") };
  colors = Array.from({ length: 8 }, (_, i) => value("--c" + i));
}

const colorOf = (group) => group < 0 ? theme.other : colors[group];
const radius = () => {
  const base = N < 500 ? 5 : N < 5000 ? 3.2 : N < 20000 ? 2.2 : 1.5;
  return Math.min(7, base * Math.max(1, view.scale / home) ** 0.35);
};

function disc(color, r, alpha) { // one dot, drawn once and copied for each point
  const side = Math.ceil(2 * (r + 1) * ratio), dot = document.createElement("canvas");
  dot.width = dot.height = side;
  const pen = dot.getContext("2d");
  pen.globalAlpha = alpha;
  pen.fillStyle = color;
  pen.strokeStyle = theme.paper;
  pen.lineWidth = r > 2.4 ? ratio : 0;
  pen.beginPath();
  pen.arc(side / 2, side / 2, r * ratio, 0, 7);
  pen.fill();
  if (r > 2.4) pen.stroke();
  return dot;
}

let buffer = null; // of the canvas, as 32 bits a pixel
const bits = (color, share) => { // share: of the color, over the paper
  const part = (text, at) => parseInt(text.slice(at, at + 2), 16);
  const [r, g, b] = [1, 3, 5].map((at) => Math.round(share * part(color, at) + (1 - share) * part(theme.paper, at)));
  return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
};

function plot(places, color, r) { // dots of device pixels, without soft edges
  const reach = Math.max(r * ratio, 0.5), offsets = [], w = canvas.width, h = canvas.height, pixels = buffer.pixels;
  for (let dy = -Math.ceil(reach); dy <= reach; dy++)
    for (let dx = -Math.ceil(reach); dx <= reach; dx++) if (dx * dx + dy * dy <= reach * reach + 0.3) offsets.push([dx, dy]);
  for (let k = 0; k < places.length; k += 2) {
    const column = Math.round(places[k] * ratio), row = Math.round(places[k + 1] * ratio);
    for (const [dx, dy] of offsets)
      if (column + dx >= 0 && column + dx < w && row + dy >= 0 && row + dy < h) pixels[(row + dy) * w + column + dx] = color;
  }
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function draw() {
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = theme.paper;
  context.fillRect(0, 0, width, height);
  const r = radius(), { x, y, scale } = view, group = coloring ? coloring.group : new Int8Array(N).fill(-1);
  const inView = [];
  const layers = new Map(); // a color → its points, so that each dot is drawn with one picture
  for (let i = 0; i < N; i++) {
    const left = (X[i] - x) * scale + width / 2, top = (Y[i] - y) * scale + height / 2;
    if (left < -r || top < -r || left > width + r || top > height + r) continue;
    const out = matches ? !matches[i] : false;
    const layer = out ? -2 : group[i];
    if (!layers.has(layer)) layers.set(layer, []);
    layers.get(layer).push(left, top);
    if (!out) inView.push(i);
  }
  const ordered = [...layers.keys()].sort((a, b) => a - b); // what does not stand out lies below
  if (inView.length > MANY || (matches && N > MANY)) {
    if (!buffer || buffer.data.width !== canvas.width || buffer.data.height !== canvas.height) {
      const data = new ImageData(canvas.width, canvas.height);
      buffer = { data, pixels: new Uint32Array(data.data.buffer) };
    }
    buffer.pixels.fill(bits(theme.paper, 1));
    for (const layer of ordered) plot(layers.get(layer), bits(layer === -2 ? theme.other : colorOf(layer), layer === -2 ? 0.25 : 0.9), r);
    context.putImageData(buffer.data, 0, 0);
  } else {
    const side = 2 * (r + 1);
    for (const layer of ordered) {
      const dot = disc(layer === -2 ? theme.other : colorOf(layer), r, layer === -2 ? 0.25 : 0.95), places = layers.get(layer);
      for (let k = 0; k < places.length; k += 2) context.drawImage(dot, places[k] - side / 2, places[k + 1] - side / 2, side, side);
    }
  }
  drawnImages = [];
  if (withImages && (inView.length <= CROWD || view.scale > 2.5 * home)) drawImages(inView, group);
  const marked = selected >= 0 ? selected : hovered;
  if (marked >= 0) {
    const left = (X[marked] - x) * scale + width / 2, top = (Y[marked] - y) * scale + height / 2;
    const shown = drawnImages.find((drawn) => drawn[0] === marked);
    context.strokeStyle = theme.ink;
    context.lineWidth = 2.5;
    context.beginPath();
    if (shown) context.rect(shown[1], shown[2], shown[3], shown[4]);
    else context.arc(left, top, r + 3.5, 0, 7);
    context.stroke();
  }
}

function drawImages(inView, group) {
  const gap = inView.length > CROWD / 3 ? THUMB : GAP;
  const taken = new Map(), cell = THUMB + gap; // cells of the screen → the boxes that begin there
  const fits = (l, t, w, h) => {
    const row = Math.floor(t / cell), column = Math.floor(l / cell);
    for (let a = row - 1; a <= row + 1; a++)
      for (let b = column - 1; b <= column + 1; b++)
        for (const [L, T, W, H] of taken.get(a + "," + b) || [])
          if (l < L + W + gap && L < l + w + gap && t < T + H + gap && T < t + h + gap) return false;
    const key = row + "," + column;
    if (!taken.has(key)) taken.set(key, []);
    taken.get(key).push([l, t, w, h]);
    return true;
  };
  for (const i of inView) {
    if (!data.thumbnails[i]) continue;
    const left = (X[i] - view.x) * view.scale + width / 2, top = (Y[i] - view.y) * view.scale + height / 2;
    const image = imageOf(i);
    if (!image) continue;
    const shrink = THUMB / Math.max(image.naturalWidth, image.naturalHeight);
    const w = image.naturalWidth * shrink, h = image.naturalHeight * shrink, l = left - w / 2, t = top - h / 2;
    if (!fits(l, t, w, h)) continue;
    context.fillStyle = colorOf(group[i]);
    context.fillRect(l - 2, t - 2, w + 4, h + 4);
    context.drawImage(image, l, t, w, h);
    drawnImages.push([i, l - 2, t - 2, w + 4, h + 4]);
  }
}

// ---- the view

function free() { // the part of the window that the panel leaves
  const box = panel.getBoundingClientRect();
  return narrow.matches ? { left: 0, top: Math.min(box.bottom, height * 0.62), right: width, bottom: height }
    : { left: box.right, top: 0, right: width, bottom: height };
}

function fit(points) {
  const area = free(), w = area.right - area.left, h = area.bottom - area.top;
  let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const i of points) {
    x0 = Math.min(x0, X[i]); x1 = Math.max(x1, X[i]); y0 = Math.min(y0, Y[i]); y1 = Math.max(y1, Y[i]);
  }
  if (x0 > x1) [x0, x1, y0, y1] = [-0.5, 0.5, -0.5, 0.5];
  const inner = (side) => Math.max(side - 2 * THUMB, side / 2), least = 1e-3; // a thumbnail at the edge is seen whole
  const scale = Math.min(inner(w) / Math.max(x1 - x0, least), inner(h) / Math.max(y1 - y0, least), home * 40);
  view = {
    scale,
    x: (x0 + x1) / 2 - ((area.left + area.right) / 2 - width / 2) / scale,
    y: (y0 + y1) / 2 - ((area.top + area.bottom) / 2 - height / 2) / scale,
  };
}

function showAll() {
  const area = free();
  home = Math.max(Math.min(area.right - area.left, area.bottom - area.top), 50) * 0.88;
  fit(Array.from({ length: N }, (_, i) => i));
  if (N < 2) view.scale = home;
  home = view.scale;
  moved();
}

function zoom(factor, left = width / 2, top = height / 2) {
  const scale = Math.max(home / 3, Math.min(home * 400, view.scale * factor));
  view.x += (left - width / 2) * (1 / view.scale - 1 / scale);
  view.y += (top - height / 2) * (1 / view.scale - 1 / scale);
  view.scale = scale;
  moved();
}

function pan(left, top) {
  view.x = Math.max(-0.8, Math.min(0.8, view.x - left / view.scale));
  view.y = Math.max(-0.8, Math.min(0.8, view.y - top / view.scale));
  moved();
}

function moved() {
  redraw();
  placeCard();
}

function resize() {
  const first = width === 0, before = home;
  [width, height, ratio] = [innerWidth, innerHeight, devicePixelRatio || 1];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  if (first || view.scale === before) showAll();
  redraw();
}

// ---- the card of one image

function show(i) {
  card.hidden = i < 0;
  if (i < 0) return redraw();
  const picture = byId("picture"), jpeg = data.thumbnails[i];
  picture.hidden = !jpeg;
  if (jpeg) picture.src = "data:image/jpeg;base64," + jpeg;
  byId("none").textContent = jpeg ? "" : data.missing[i] || "no thumbnail in this file";
  byId("path").textContent = data.paths[i];
  const words = [label(i), prediction(i) && "predicted: " + prediction(i)].filter(Boolean);
  byId("words").textContent = words.join(" · ");
  placeCard();
  redraw();
}

function placeCard() {
  const i = selected >= 0 ? selected : hovered;
  if (i < 0 || narrow.matches) return;
  const left = (X[i] - view.x) * view.scale + width / 2, top = (Y[i] - view.y) * view.scale + height / 2;
  const w = card.offsetWidth, h = card.offsetHeight, gap = 40;
  card.style.left = (left + gap + w < width - 8 ? left + gap : Math.max(8, left - gap - w)) + "px";
  card.style.top = Math.max(8, Math.min(height - h - 8, top - h / 2)) + "px";
}

function select(i) {
  selected = i;
  hovered = -1;
  show(i);
}

// ---- mouse, fingers, keys

const pointers = new Map();
let start = null; // where the first pointer went down, to tell a tap from a drag
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  start = pointers.size === 1 ? [event.clientX, event.clientY] : null;
});
canvas.addEventListener("pointermove", (event) => {
  const here = [event.clientX, event.clientY], before = pointers.get(event.pointerId);
  if (!before) {
    if (event.pointerType !== "mouse" || selected >= 0) return;
    const i = pointAt(...here, 12);
    canvas.classList.toggle("over", i >= 0);
    if (i !== hovered) { hovered = i; show(i); }
    return;
  }
  if (pointers.size === 2) {
    const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
    const far = (a, b) => Math.max(Math.hypot(a[0] - b[0], a[1] - b[1]), 1);
    pan((here[0] - before[0]) / 2, (here[1] - before[1]) / 2);
    zoom(far(here, other) / far(before, other), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
  } else if (!start || Math.hypot(here[0] - start[0], here[1] - start[1]) > 5) {
    start = null;
    canvas.classList.add("dragging");
    pan(here[0] - before[0], here[1] - before[1]);
  } else return;
  pointers.set(event.pointerId, here);
});
for (const kind of ["pointerup", "pointercancel"])
  canvas.addEventListener(kind, (event) => {
    pointers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (start && kind === "pointerup") {
      if (narrow.matches) fold.open = false;
      select(pointAt(...start, event.pointerType === "mouse" ? 12 : 24));
    }
    start = null;
  });
canvas.addEventListener("pointerleave", () => { if (selected < 0 && hovered >= 0) { hovered = -1; show(-1); } });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoom(Math.exp(-Math.max(-300, Math.min(300, event.deltaY * lines)) / 400), event.clientX, event.clientY);
}, { passive: false });
canvas.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));

const KEYS = {
  ArrowLeft: () => pan(80, 0), ArrowRight: () => pan(-80, 0), ArrowUp: () => pan(0, 80), ArrowDown: () => pan(0, -80),
  "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": () => showAll(),
  Enter: () => { const area = free(); select(pointAt((area.left + area.right) / 2, (area.top + area.bottom) / 2, width)); },
  Escape: () => select(-1),
};
canvas.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
byId("in").onclick = () => zoom(1.6);
byId("out").onclick = () => zoom(1 / 1.6);
byId("home").onclick = showAll;
byId("images").onclick = (event) => {
  withImages = !withImages;
  event.currentTarget.setAttribute("aria-pressed", withImages);
  redraw();
};

// ---- legend and search

function filter() {
  matches = null;
  if (query || only !== null) {
    matches = new Uint8Array(N);
    for (let i = 0; i < N; i++) {
      const named = !query || [data.paths[i], label(i), prediction(i)].some((text) => text.toLowerCase().includes(query));
      matches[i] = named && (only === null || coloring.group[i] === only) ? 1 : 0;
    }
  }
  const count = matches ? matches.reduce((sum, one) => sum + one, 0) : N;
  byId("found").textContent = query ? `${count.toLocaleString("en")} of ${N.toLocaleString("en")} match; Enter shows them` : "";
  select(-1);
}

function fillLegend() {
  const list = byId("legend");
  list.replaceChildren();
  if (!coloring) return;
  const rows = coloring.names.map((name, group) => [group, name, coloring.counts[group + 1]]);
  const rest = [coloring.others && `${coloring.others.toLocaleString("en")} other ${coloring.by}s`, coloring.unknown && `no ${coloring.by}`];
  if (coloring.counts[0]) rows.push([-1, rest.filter(Boolean).join(", "), coloring.counts[0]]);
  for (const [group, name, count] of rows) {
    const item = document.createElement("li"), button = document.createElement("button"), mark = document.createElement("i");
    const text = document.createElement("span"), number = document.createElement("b"), isolated = document.createElement("bdi");
    mark.style.background = colorOf(group);
    isolated.textContent = name === "" ? "(empty)" : name;
    number.textContent = count.toLocaleString("en");
    text.append(isolated);
    button.type = "button";
    button.setAttribute("aria-pressed", only === group);
    button.append(mark, text, number);
    button.onclick = () => { only = only === group ? null : group; filter(); fillLegend(); };
    item.append(button);
    list.append(item);
  }
}

byId("search").addEventListener("input", (event) => { query = event.target.value.trim().toLowerCase(); filter(); });
byId("search").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !matches || !matches.includes(1)) return;
  if (narrow.matches) fold.open = false;
  fit(Array.from({ length: N }, (_, i) => i).filter((i) => matches[i]));
  moved();
});
colorings.forEach((c, i) => byId("by").append(new Option("by " + c.by, i)));
byId("by").onchange = (event) => { coloring = colorings[event.target.value]; only = null; filter(); fillLegend(); };
for (const id of ["by", "legend"]) byId(id).hidden = !colorings.length;
document.querySelector("label[for=by]").hidden = !colorings.length;

function newTheme() {
  readTheme();
  fillLegend();
  redraw();
}
dark.addEventListener("change", newTheme);
addEventListener("resize", resize);
fold.open = !narrow.matches;
readTheme();
fillLegend();
resize();
