"use strict";
const $ = (id) => document.getElementById(id);
const stage = $("stage"), views = [...stage.querySelectorAll("section")];
let view = views[0], scale = 1, x = 0, y = 0, timer = null;

// Each view's nodes and links, looked up once: 5,000 nodes need no search of the page per click.
const parts = new Map(views.map((v) => {
  const nodes = [...v.querySelectorAll(".node")], links = [...v.querySelectorAll(".link")];
  const plain = (id) => `${v.id}-${id}`;
  for (const l of links) {
    l.from = plain(v.id === "gradient" ? l.dataset.target : l.dataset.source);
    l.to = plain(v.id === "gradient" ? l.dataset.source : l.dataset.target);
  }
  const down = new Map(), up = new Map();
  for (const l of links) {
    if (!down.has(l.from)) down.set(l.from, []);
    if (!up.has(l.to)) up.set(l.to, []);
    down.get(l.from).push(l);
    up.get(l.to).push(l);
  }
  const byId = new Map(nodes.map((n) => [n.id, n]));
  // the sweep meets nodes in descending order of recording
  const order = [...nodes].sort((a, b) => b.dataset.vertex - a.dataset.vertex);
  const stops = [];
  order.forEach((n, k) => {
    if (k + 1 === order.length || order[k + 1].dataset.step !== n.dataset.step) stops.push(k + 1);
  });
  return [v, { nodes, links, down, up, byId, order, stops }];
}));
const now = () => parts.get(view);

// moving and zooming
function place() { view.style.transform = `translate(${x}px, ${y}px) scale(${scale})`; }
function zoom(factor, cx = stage.clientWidth / 2, cy = stage.clientHeight / 2) {
  const next = Math.min(8, Math.max(0.005, scale * factor));
  x = cx - (cx - x) * next / scale;
  y = cy - (cy - y) * next / scale;
  scale = next;
  place();
}
function fit() {
  const box = view.querySelector("svg");
  const w = box.width.baseVal.value, h = box.height.baseVal.value;
  scale = Math.min(stage.clientWidth / w, stage.clientHeight / h, 1.5);
  x = (stage.clientWidth - w * scale) / 2;
  y = Math.max((stage.clientHeight - h * scale) / 2, 0);
  place();
}
function show(node) {
  const a = node.getBoundingClientRect(), b = stage.getBoundingClientRect();
  if (scale < 0.6) zoom(0.9 / scale, a.x - b.x, a.y - b.y);
  const c = node.getBoundingClientRect();
  x += b.x + b.width / 2 - (c.x + c.width / 2);
  y += b.y + b.height / 2 - (c.y + c.height / 2);
  place();
}
let held = null;
stage.addEventListener("pointerdown", (e) => { held = { x: e.clientX - x, y: e.clientY - y, moved: false, px: e.clientX, py: e.clientY }; });
window.addEventListener("pointermove", (e) => {
  if (!held) return;
  if (Math.abs(e.clientX - held.px) + Math.abs(e.clientY - held.py) > 4) {
    held.moved = true;
    stage.classList.add("held");
  }
  if (held.moved) { x = e.clientX - held.x; y = e.clientY - held.y; place(); }
});
window.addEventListener("pointerup", (e) => {
  stage.classList.remove("held");
  const drag = held && held.moved;
  held = null;
  if (drag || !stage.contains(e.target)) return;
  choose(e.target.closest ? e.target.closest(".node") : null);
});
stage.addEventListener("wheel", (e) => {
  e.preventDefault();
  const b = stage.getBoundingClientRect();
  zoom(Math.exp(-e.deltaY * 0.0015), e.clientX - b.x, e.clientY - b.y);
}, { passive: false });

// what leads to a node, and what it leads to
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
  for (const e of [...p.nodes, ...p.links]) e.classList.remove("near", "chosen");
  view.classList.toggle("focus", Boolean(node));
  $("panel").hidden = !node;
  if (!node) return;
  const up = reach(node.id, p.up, (l) => l.from), down = reach(node.id, p.down, (l) => l.to);
  for (const id of [node.id, ...up.seen, ...down.seen]) p.byId.get(id)?.classList.add("near");
  for (const l of [...up.used, ...down.used]) l.classList.add("near");
  node.classList.add("chosen");
  const title = node.querySelector("title");
  $("panel").textContent = `${title ? title.textContent.replaceAll(", ", "\n") : ""}
${up.seen.size} before it, ${down.seen.size} after it`;
}

// search
let hits = [], at = -1;
function search(text) {
  for (const n of now().nodes) n.classList.remove("hit");
  const words = text.trim().toLowerCase();
  hits = words ? now().nodes.filter((n) => n.textContent.toLowerCase().includes(words)) : [];
  for (const n of hits) n.classList.add("hit");
  $("found").textContent = words ? `${hits.length} found` : "";
  at = -1;
}
function next() {
  if (!hits.length) return;
  at = (at + 1) % hits.length;
  show(hits[at]);
}

// the backward sweep, a step at a time
function sweepTo(k) {
  const p = now(), stop = k ? p.stops[Math.min(k, p.stops.length) - 1] : 0;
  view.classList.toggle("sweeping", k > 0);
  const lit = new Set();
  p.order.forEach((n, i) => {
    n.classList.toggle("lit", i < stop);
    n.classList.toggle("now", k > 0 && i < stop && i >= (k > 1 ? p.stops[k - 2] : 0));
    if (i < stop) lit.add(n.id);
  });
  for (const l of p.links) l.classList.toggle("lit", lit.has(l.to) || (!l.dataset.place && k > 0));
  const last = stop ? p.order[stop - 1] : null;
  const step = last && last.dataset.step !== undefined ? `t = ${last.dataset.step}` : "outside the loop";
  $("where").textContent = last ? `${step}, ${stop} of ${p.order.length} nodes` : "";
}
function play() {
  if (timer) { clearInterval(timer); timer = null; $("play").textContent = "play"; return; }
  const slider = $("sweep");
  if (Number(slider.value) >= Number(slider.max)) slider.value = 0;
  $("play").textContent = "pause";
  timer = setInterval(() => {
    slider.value = Number(slider.value) + 1;
    sweepTo(Number(slider.value));
    if (Number(slider.value) >= Number(slider.max)) play();
  }, 350);
}

// forward or gradient
function turn() {
  if (views.length < 2) return;
  choose(null);
  view.hidden = true;
  view = view === views[0] ? views[1] : views[0];
  view.hidden = false;
  $("switch").textContent = view.id === "gradient" ? "forward" : "gradient";
  place();
  start();
}
function start() {
  $("sweep").max = now().stops.length;
  sweepTo(Number($("sweep").value));
  search($("search").value);
}
function dark() {
  const on = document.documentElement.classList.toggle("dark");
  $("theme").textContent = on ? "light" : "dark";
}

$("switch").hidden = views.length < 2;
$("fit").onclick = fit;
$("in").onclick = () => zoom(1.25);
$("out").onclick = () => zoom(0.8);
$("switch").onclick = turn;
$("play").onclick = play;
$("theme").onclick = dark;
$("search").oninput = (e) => search(e.target.value);
$("search").onkeydown = (e) => { if (e.key === "Enter") next(); if (e.key === "Escape") { e.target.value = ""; search(""); stage.focus(); } };
$("sweep").oninput = (e) => sweepTo(Number(e.target.value));
window.addEventListener("keydown", (e) => {
  if (e.target.tagName === "INPUT" && e.target.type !== "range") return;
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const keys = {
    "0": fit, "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
    g: turn, d: dark, " ": play, n: next, "/": () => $("search").focus(), Escape: () => choose(null),
    ArrowLeft: () => { x += 60; place(); }, ArrowRight: () => { x -= 60; place(); },
    ArrowUp: () => { y += 60; place(); }, ArrowDown: () => { y -= 60; place(); },
  };
  if (!keys[e.key] || (e.target.type === "range" && e.key.startsWith("Arrow"))) return;
  if (e.key === " " && e.target.tagName === "BUTTON") return;
  e.preventDefault();
  keys[e.key]();
});
window.addEventListener("resize", fit);
if (window.matchMedia("(prefers-color-scheme: dark)").matches) dark();
start();
fit();
