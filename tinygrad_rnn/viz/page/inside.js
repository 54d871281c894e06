// One cell, or one column, as the next finer level draws it, in a panel beside the picture.
// The finer picture is on the page already, hidden: what belongs to the cell is cut out of it.
const SVG = "http://www.w3.org/2000/svg";
let trail = [];  // what was opened, one in the other: {from: a view, node}

function cut(from, inside) {
  const p = parts.get(from), own = new Set(), columns = new Set();
  for (const n of p.nodes) if (inside.has(n.about.v)) { own.add(n.key); columns.add(n.about.c); }
  const reads = (id) => (p.down.get(id) || []).some((l) => own.has(l.to));
  for (const l of p.links) if (l.from && !p.byId.has(l.from) && own.has(l.to)) own.add(l.from);
  for (const n of p.nodes) if (n.about.leaf && columns.has(n.about.c) && reads(n.key)) own.add(n.key);
  return own;
}
// a box of the finer picture is found by its vertex, a column by what stands in it
function inside_of(from, node, later) {
  const next = finer_than(from);
  if (!next || !(node.about.parts || node.about.members)) return null;
  const byId = parts.get(from).byId;
  const each = node.about.members ? node.about.members.map((id) => byId.get(id)?.about) : [node.about];
  const vertices = new Set(each.flatMap((a) => (a ? a.parts || [a.v] : [])));
  const { seen, by } = standing_for(next, vertices, later), own = cut(next, seen);
  return own.size ? { next, own, later: by } : null;
}
// what is drawn in place of vertices of a step that is not: those of one like it, so many steps before
function standing_for(next, vertices, later) {
  const p = parts.get(next), seen = new Set();
  if (!p.standing) {
    p.standing = new Map();
    for (const { shown, like } of p.like || []) {
      for (const [steps, ...heads] of like) heads.forEach((v, k) => { if (v !== shown[k]) p.standing.set(v, [shown[k], steps]); });
    }
  }
  let by = later;
  for (const v of vertices) {
    const [other, steps] = p.standing.get(v) || [v];
    seen.add(other);
    if (steps !== undefined) by = (later || 0) + steps;
  }
  return { seen, by };
}
// words of a step that stands for a later one, as they are there
const low = (text, by) => [...text].map((c) => String.fromCharCode(c.charCodeAt(0) + by)).join("");
function words_later(text, later) {
  if (!later) return text;
  return text.replace(/[₀-₉]+/g, (n) => low(String(Number(low(n, 48 - 0x2080)) + later), 0x2080 - 48))
    .replace(/^(t =|step) (\d+)$/, (_, word, n) => `${word} ${Number(n) + later}`);
}

// the picture of what is inside, its ways from and to elsewhere cut off at the edge
function picture({ next, own, later }) {
  const p = parts.get(next), svg = document.createElementNS(SVG, "svg"), group = svg.appendChild(document.createElementNS(SVG, "g"));
  const entering = [];
  const copy = (element) => {
    const made = group.appendChild(element.cloneNode(true));
    for (const e of [made, ...made.querySelectorAll("[id]")]) e.removeAttribute("id");
    made.classList.remove("near", "chosen", "hit", "lit", "now", "opened");
    if (!made.classList.contains("parameter")) for (const t of made.querySelectorAll("text, title")) t.textContent = words_later(t.textContent, later);
    return made;
  };
  const boxes = [];
  for (const id of own) {
    const element = document.getElementById(`${next.id}-${id}`);
    if (!element) continue;
    const made = copy(element);
    boxes.push(made);
    if (element.about) Object.assign(made, { about: element.about, original: element, tabIndex: 0 });
  }
  for (const l of p.links) {
    const [a, b] = [own.has(l.from), own.has(l.to)];
    if (!a && !b) continue;
    const made = copy(l.element);
    if (!a && l.from) entering.push([made, p.byId.get(l.from)]);
  }
  return { svg, group, boxes, entering, later };
}
function frame({ svg, group, boxes, entering, later }) {
  const all = boxes.map((b) => b.getBBox()), pad = 30;
  const x0 = Math.min(...all.map((b) => b.x)) - pad, y0 = Math.min(...all.map((b) => b.y)) - pad;
  const w = Math.max(...all.map((b) => b.x + b.width)) + pad - x0, h = Math.max(...all.map((b) => b.y + b.height)) + pad - y0;
  svg.setAttribute("viewBox", `${x0} ${y0} ${w} ${h}`);
  svg.style.height = `min(${Math.round(h * 4 / 3)}px, 100vh - 130px)`;
  svg.style.aspectRatio = w / h;
  const told = new Set();
  for (const [way, source] of entering) {
    const path = way.querySelector("path"), words = source?.querySelector("text")?.textContent.split(" = ")[0];
    if (!path || !words) continue;
    const length = path.getTotalLength(), points = Array.from({ length: 81 }, (_, k) => path.getPointAtLength(length * k / 80));
    const sees = points.map((q) => q.x > x0 && q.x < x0 + w && q.y > y0 && q.y < y0 + h);
    const at = sees[0] ? points[sees.lastIndexOf(true)] : points[sees.indexOf(true)];
    if (!at || sees.every(Boolean) || told.has(`${words} ${Math.round(at.y / 9)}`)) continue;
    told.add(`${words} ${Math.round(at.y / 9)}`);
    const text = group.appendChild(document.createElementNS(SVG, "text"));
    text.textContent = words_later(words, later);
    text.setAttribute("class", "from");
    text.setAttribute("x", Math.min(Math.max(at.x, x0 + 2), x0 + w - 2));
    text.setAttribute("y", Math.min(Math.max(at.y - 3, y0 + 9), y0 + h - 3));
    text.setAttribute("text-anchor", at.x > x0 + w / 2 ? "end" : "start");
  }
}

// the panel: what is inside, what is known about it, its numbers
function open_in(from, node, later) {
  trail.push({ from, node, later });
  tell();
}
function back() {
  if (trail.length < 2) { const was = trail[0]?.node; choose(null); if (was?.isConnected) was.focus(); return; }
  trail.pop();
  tell();
  $("panel").focus();
}
function tell() {
  const panel = $("panel"), { from, node, later } = trail.at(-1), found = inside_of(from, node, later);
  const bar = document.createElement("div"), words = document.createElement("div"), title = document.createElement("b");
  const button = (id, text, about, action) => Object.assign(document.createElement("button"), { id, textContent: text, title: about, onclick: action });
  bar.className = "bar";
  title.textContent = words_later(named(node), later);
  if (found) title.textContent += `: ${found.next.dataset.level}s`;
  if (trail.length > 1) bar.append(button("up", "‹ back", "Back (Escape)", back));
  bar.append(title);
  if (found && trail.length === 1 && !parts.get(found.next).like) bar.append(button("all", `all in ${found.next.dataset.level}s`, "The whole picture a level finer (o)", () => dive(node)));
  bar.append(button("close", "×", "Close (Escape)", () => choose(null)));
  words.className = "words";
  words.append(...told(from, node, later));
  panel.replaceChildren(bar);
  panel.hidden = false;
  const whole = document.createElement("div");
  whole.className = "whole";
  panel.append(whole);
  if (found) {
    const made = picture(found);
    whole.append(made.svg);
    frame(made);
    made.svg.addEventListener("click", (e) => { const n = e.target.closest("g.node"); if (n?.original) open_in(found.next, n.original, found.later); });
    made.svg.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target.original) { e.stopPropagation(); open_in(found.next, e.target.original, found.later); $("panel").focus(); } });
  }
  whole.append(words);
  panel.classList.toggle("wide", Boolean(found));
}
function named(node) {
  const lines = [...node.querySelectorAll("text")].map((t) => t.textContent);
  if (node.about.members || !lines.length) return node.about.facts[0];
  return /^t = /.test(lines[1]) ? `${lines[0]}, ${lines[1]}` : lines[0];
}
// facts, how much is before and after, and tensors
function told(from, node, later) {
  if (node.about.members) return [];
  const list = [node.about.facts.map((fact) => words_later(fact, later)).join("\n")];
  if (parts.get(from).like) return list;  // of one step in place of another nothing is counted
  const p = parts.get(from), count = (links, far) => [...reach(node.key, links, far).seen].filter((id) => p.byId.has(id)).length;
  list[0] += `\n${count(p.up, (l) => l.from)} before it, ${count(p.down, (l) => l.to)} after it`;
  return [...list, ...tensors(data.tensors[node.about.v])];
}
