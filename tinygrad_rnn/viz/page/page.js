"use strict";
const $ = (id) => document.getElementById(id);
const stage = $("stage"), views = [...stage.querySelectorAll("section")];
const data = JSON.parse($("data").textContent), figures = data.views;
let view = views[0], scale = 1, x = 0, y = 0;

// Each view's nodes and links, looked up once: 5,000 nodes need no search of the page per click.
const parts = new Map(views.map((v) => {
  const found = figures[v.id], byId = new Map(), links = [], byLine = new Map(), down = new Map(), up = new Map();
  for (const [id, about] of Object.entries(found.nodes)) {
    const element = document.getElementById(`${v.id}-${id}`);
    if (!element) continue;
    Object.assign(element, { about, key: id, tabIndex: 0 });
    element.setAttribute("role", "button");
    element.setAttribute("aria-label", about.facts.join(", "));
    byId.set(id, element);
  }
  for (const [id, about] of Object.entries(found.columns)) {
    const element = document.getElementById(`${v.id}-${id}`);
    if (element) Object.assign(element, { about, key: id });
  }
  for (const [id, about] of Object.entries(found.links)) {
    const element = document.getElementById(`${v.id}-${id}`);
    if (!element) continue;
    const link = { element, from: about.from, to: about.to };
    links.push(link);
    byLine.set(id, link);
    for (const [map, end] of [[down, link.from], [up, link.to]]) {
      if (!map.has(end)) map.set(end, []);
      map.get(end).push(link);
    }
  }
  return [v, { nodes: [...byId.values()], byId, byLine, links, down, up, stops: found.stops, film: found.film, like: found.like }];
}));
const now = () => parts.get(view);

// moving and zooming
function place() { view.style.transform = `translate(${x.toFixed(2)}px, ${y.toFixed(2)}px) scale(${scale.toFixed(5)})`; }
function zoom(factor, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2) {
  const next = Math.min(8, Math.max(0.005, scale * factor));
  x = cx - (cx - x) * next / scale;
  y = cy - (cy - y) * next / scale;
  scale = next;
  place();
}
function size() {
  const box = view.querySelector("svg");
  return [box.width.baseVal.value, box.height.baseVal.value];
}
function whole() {
  const [w, h] = size();
  return Math.min(stage.clientWidth / w, stage.clientHeight / h, 1.5);
}
// at first as large as can be read, from the left; `fit` shows all of it
const LEAST = 0.6;
function open() { settle(Math.max(whole(), LEAST)); }
function fit() { settle(whole()); }
function settle(to) {
  const [w, h] = size();
  scale = to;
  x = Math.max((stage.clientWidth - w * scale) / 2, 0);
  y = Math.max((stage.clientHeight - h * scale) / 2, 0);
  place();
}
function show(node) {
  const b = stage.getBoundingClientRect();
  if (scale < LEAST) {
    const a = node.getBoundingClientRect();
    zoom(0.9 / scale, a.x - b.x, a.y - b.y);
  }
  const c = node.getBoundingClientRect();
  x += b.x + b.width / 2 - (c.x + c.width / 2);
  y += b.y + b.height / 2 - (c.y + c.height / 2);
  place();
}

// one pointer moves, two pinch, a click chooses
const held = new Map();
let moved = false;
stage.addEventListener("pointerdown", (e) => {
  held.set(e.pointerId, [e.clientX, e.clientY]);
  moved = held.size > 1;
});
window.addEventListener("pointermove", (e) => {
  const before = held.get(e.pointerId);
  if (!before) return;
  const dx = e.clientX - before[0], dy = e.clientY - before[1];
  if (!moved && Math.abs(dx) + Math.abs(dy) < 4) return;
  moved = true;
  stage.classList.add("held");
  const b = stage.getBoundingClientRect();
  if (held.size === 2) {
    const [, other] = [...held].find(([id]) => id !== e.pointerId);
    const far = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
    zoom(far([e.clientX, e.clientY]) / far(before), other[0] - b.x, other[1] - b.y);
  } else {
    x += dx;
    y += dy;
    place();
  }
  held.set(e.pointerId, [e.clientX, e.clientY]);
});
for (const end of ["pointerup", "pointercancel"]) {
  window.addEventListener(end, (e) => {
    const mine = held.delete(e.pointerId);
    if (held.size) return;
    stage.classList.remove("held");
    if (mine && !moved && stage.contains(e.target)) choose(node_of(e.target));
  });
}
const node_of = (target) => {
  const found = target.closest ? target.closest("g.node") : null;
  return found && found.about && (!found.about.members || finer_than(view)) ? found : null;
};
stage.addEventListener("wheel", (e) => {
  e.preventDefault();
  const b = stage.getBoundingClientRect();
  zoom(Math.exp(-e.deltaY * 0.0015), e.clientX - b.x, e.clientY - b.y);
}, { passive: false });
stage.addEventListener("focusin", (e) => {
  if (node_of(e.target) && e.target.matches(":focus-visible")) show(e.target);
});

// what leads to a node, and what it leads to; a point where a state fans out is passed through
function reach(id, links, far) {
  const seen = new Set(), todo = [id], used = [];
  while (todo.length) {
    for (const l of links.get(todo.pop()) || []) {
      used.push(l);
      const next = far(l);
      if (!seen.has(next)) { seen.add(next); todo.push(next); }
    }
  }
  return { seen, used };
}
function choose(node) {
  const p = now();
  for (const e of view.querySelectorAll(".near, .chosen, .opened")) e.classList.remove("near", "chosen", "opened");
  view.classList.toggle("focus", Boolean(node) && !node.about.members);
  trail = [];
  $("panel").hidden = !node;
  if (!node) return;
  node.classList.add("chosen");
  if (!node.about.members) {
    const up = reach(node.key, p.up, (l) => l.from), down = reach(node.key, p.down, (l) => l.to);
    for (const id of [node.key, ...up.seen, ...down.seen]) p.byId.get(id)?.classList.add("near");
    for (const l of [...up.used, ...down.used]) l.element.classList.add("near");
  }
  const at = node.getBoundingClientRect(), b = stage.getBoundingClientRect();
  $("panel").classList.toggle("left", at.x + at.width / 2 > b.x + b.width / 2);
  open_in(view, node);
}

// levels: the whole picture changes, what was opened is marked in it
const LEVELS = ["cell", "gate", "op"];
const find = (kind, level) => views.find((v) => v.dataset.kind === kind && v.dataset.level === level && !parts.get(v).like);
function beside(from, by) {
  const all = LEVELS.filter((l) => find(from.dataset.kind, l));
  return find(from.dataset.kind, all[all.indexOf(from.dataset.level) + by]);
}
// the next finer level, or, where it is too large for that, its steps, one of each kind
const rank = (v) => LEVELS.indexOf(v.dataset.level);
function finer_than(from) {
  const finer = views.filter((v) => rank(v) > rank(from) && (parts.get(v).like || v.dataset.kind === from.dataset.kind));
  return finer.sort((a, b) => rank(a) - rank(b))[0];
}
function enter(next) {
  if (!next || next === view) return;
  choose(null);
  const same = next.dataset.level === view.dataset.level;
  view.hidden = true;
  view = next;
  view.hidden = false;
  for (const v of views) if (v !== view && v.dataset.level === view.dataset.level) $("switch").textContent = `show ${v.dataset.kind}`;
  $("level").value = view.dataset.level;
  if (same) place(); else open();
  start();
}
// all of it a level finer, what was chosen marked in it
function dive(node) {
  const found = node && inside_of(view, node);
  if (!found || parts.get(found.next).like) return;
  enter(found.next);
  const inside = now().nodes.filter((n) => found.own.has(n.key));
  for (const n of inside) n.classList.add("opened");
  if (inside.length) show(inside[Math.floor(inside.length / 2)]);
}

// numbers as colours: values from blue over white to red, sizes of gradients on a logarithmic scale
function colour(x, scale, most, least) {
  if (x === null) return [255, 255, 255];
  if (scale === "value") {
    const t = Math.max(-1, Math.min(1, x / most)), end = t < 0 ? [33, 102, 172] : [178, 24, 43];
    return end.map((c) => Math.round(247 + (c - 247) * Math.abs(t)));
  }
  if (x === 0) return [217, 217, 217];
  const t = Math.log(Math.abs(x) / least) / Math.log(most / least);
  const low = [127, 200, 169], high = [59, 20, 86];
  return low.map((c, k) => Math.round(c + (high[k] - c) * Math.max(0, Math.min(1, t))));
}
function heat(rows, scale) {
  const finite = rows.flat().filter((x) => x !== null), sizes = finite.filter((x) => x).map(Math.abs), most = Math.max(...sizes, 1e-300);
  const least = Math.max(Math.min(...sizes, most), most * 1e-12) * 0.999;
  const canvas = document.createElement("canvas");
  canvas.width = rows[0].length;
  canvas.height = rows.length;
  const pen = canvas.getContext("2d"), image = pen.createImageData(canvas.width, canvas.height);
  rows.forEach((row, r) => row.forEach((x, c) => {
    image.data.set([...colour(x, scale, most, least), 255], 4 * (r * canvas.width + c));
  }));
  pen.putImageData(image, 0, 0);
  const all = finite.length ? "all exactly 0" : "none";
  return [canvas, !sizes.length ? all : scale === "value" ? `−${most.toPrecision(3)} … ${most.toPrecision(3)}` : `${least.toPrecision(2)} … ${most.toPrecision(2)}, grey: exactly 0`];
}
function figure(words, canvas) {
  const made = document.createElement("figure"), caption = document.createElement("figcaption");
  caption.textContent = words;
  made.append(caption, canvas);
  return made;
}
// the tensor of a box: its numbers where they are few, else a small heat map
function tensors(found) {
  return ["value", "gradient"].filter((k) => found && found[k]).map((k) => {
    const flat = found[k], rows = [];
    if (flat.length <= 4) return figure(`${k} ${flat.join(", ")}`, "");
    for (let i = 0; i < flat.length; i += found.columns) rows.push(flat.slice(i, i + found.columns));
    const [canvas, range] = heat(rows, k === "value" ? "value" : "log");
    canvas.style.width = `${Math.min(360, 12 * found.columns)}px`;
    canvas.style.height = `${Math.min(200, 12 * rows.length)}px`;
    return figure(`${k}: ${rows.length} × ${found.columns}, ${range}`, canvas);
  });
}
// heat maps under the graph; a click goes to that step
const marks = [];
for (const m of data.maps) {
  const [canvas, range] = heat([...m.rows].reverse(), m.scale), box = document.createElement("div");
  const mark = document.createElement("i"), ticks = document.createElement("div");
  canvas.style.height = `${Math.max(40, Math.min(130, 7 * m.rows.length))}px`;
  box.className = "map";
  box.append(canvas, mark);
  mark.hidden = true;
  ticks.className = "ticks";
  ticks.append(...[0, (m.steps.length - 1) >> 1, m.steps.length - 1].map((k) => {
    const tick = document.createElement("span");
    tick.textContent = `t = ${m.steps[k]}`;
    return tick;
  }));
  const made = figure(`${m.title}, units by steps: ${range}`, box);
  made.append(ticks);
  $("maps").append(made);
  marks.push({ mark, steps: m.steps });
  box.onclick = (e) => {
    const b = box.getBoundingClientRect();
    const step = m.steps[Math.min(m.steps.length - 1, Math.floor((e.clientX - b.x) / b.width * m.steps.length))];
    const k = stopsOf(now()).findIndex((s) => s.step === step);
    if (k >= 0) sweepTo(k + 1); else point(step);
  };
}
function point(step) {
  for (const { mark, steps } of marks) {
    const k = steps.indexOf(step);
    mark.hidden = k < 0;
    mark.style.left = `${100 * k / steps.length}%`;
    mark.style.width = `${100 / steps.length}%`;
  }
}

// search; subscripts are found by their digits
let hits = [], at = -1;
const plain = (text) => text.toLowerCase().normalize("NFKD");
function search(text) {
  for (const n of now().nodes) n.classList.remove("hit");
  const words = plain(text.trim()).replaceAll("_", "");
  hits = words ? now().nodes.filter((n) => plain(n.textContent).replaceAll("_", "").includes(words)) : [];
  for (const n of hits) n.classList.add("hit");
  $("found").textContent = words ? `${hits.length} found` : "";
  at = -1;
}
function next() {
  if (!hits.length) return;
  at = (at + 1) % hits.length;
  show(hits[at]);
}

// the backward sweep: what follows the loop, a stop for each step, what comes before
let timer = null, seconds = 0.8;
const slider = $("sweep");
let arrows = false;  // a stop for each arrow, with its formula, where the view has a film
const stopsOf = (p) => (arrows && p.film.length ? p.film : p.stops);
function sweepTo(k) {
  const p = now(), stops = stopsOf(p), stop = stops[k - 1];
  slider.value = k;
  view.classList.toggle("sweeping", k > 0);
  for (const e of view.querySelectorAll(".lit, .now")) e.classList.remove("lit", "now");
  if (stops === p.film) lightArrows(p, k); else lightSteps(p, k);
  point(k ? stop.step : null);
  $("where").textContent = k ? [stop.title, `${k} of ${stops.length}`].filter(Boolean).join(": ") : "";
  $("formula").textContent = (stop?.words || []).join("\n");
}
function lightSteps(p, k) {
  const lit = new Set();
  p.stops.slice(0, k).forEach((stop, i) => {
    for (const id of stop.nodes) {
      lit.add(id);
      p.byId.get(id)?.classList.add(...(i === k - 1 ? ["lit", "now"] : ["lit"]));
    }
  });
  // a line is lit when the gradient has passed along it: from the node that reads to what it reads
  const passed = (id) => (p.byId.has(id) ? lit.has(id) : (p.down.get(id) || []).some((l) => lit.has(l.to)));
  for (const l of p.links) l.element.classList.toggle("lit", passed(l.to));
  if (k) follow(p.stops[k - 1].nodes.map((id) => p.byId.get(id)));
}
function lightArrows(p, k) {
  p.film.slice(0, k).forEach((stop, i) => {
    for (const l of stop.lines.map((id) => p.byLine.get(id))) {
      l.element.classList.add(...(i === k - 1 ? ["lit", "now"] : ["lit"]));
      for (const id of [l.from, l.to]) p.byId.get(id)?.classList.add("lit");
    }
  });
  if (k) follow(p.film[k - 1].lines.map((id) => p.byLine.get(id).element));
}
// the step that is on goes to the middle when it is out of sight
function follow(nodes) {
  const b = stage.getBoundingClientRect(), boxes = nodes.map((n) => n.getBoundingClientRect());
  const left = Math.min(...boxes.map((r) => r.left)), right = Math.max(...boxes.map((r) => r.right));
  const top = Math.min(...boxes.map((r) => r.top)), bottom = Math.max(...boxes.map((r) => r.bottom));
  if (left < b.left || right > b.right) x += b.left + b.width / 2 - (left + right) / 2;
  // a step higher than the stage stays where it is
  if ((top < b.top || bottom > b.bottom) && bottom - top < b.height) y += b.top + b.height / 2 - (top + bottom) / 2;
  place();
}
function step(by) { sweepTo(Math.min(Math.max(Number(slider.value) + by, 0), Number(slider.max))); }
function play() {
  if (timer) { clearInterval(timer); timer = null; $("play").textContent = "play"; return; }
  if (slider.value === slider.max) sweepTo(0);
  $("play").textContent = "pause";
  timer = setInterval(() => {
    step(1);
    if (slider.value === slider.max) play();
  }, 1000 * seconds);
}
function speed() {
  seconds = { 0.8: 0.4, 0.4: 1.6, 1.6: 0.8 }[seconds];
  $("speed").textContent = { 0.8: "1×", 0.4: "2×", 1.6: "½×" }[seconds];
  if (timer) { play(); play(); }
}

// a stop for each step, or for each arrow
function byArrow() {
  if (!now().film.length) return;
  arrows = !arrows;
  $("arrows").textContent = arrows ? "by step" : "by arrow";
  sweepTo(0);
  start();
  open();
}
// forward or gradient
function turn() { enter(views.find((v) => v !== view && v.dataset.level === view.dataset.level)); }
function start() {
  $("arrows").hidden = !now().film.length;
  $("formula").hidden = $("arrows").hidden || !arrows;
  slider.max = stopsOf(now()).length;
  sweepTo(Number(slider.value));
  search($("search").value);
}
function dark() {
  const on = document.documentElement.classList.toggle("dark");
  $("theme").textContent = on ? "light" : "dark";
}

