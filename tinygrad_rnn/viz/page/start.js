// Controls, keys, and the first look.
$("switch").hidden = !views.some((v) => v !== view && v.dataset.level === view.dataset.level);
const levels = [...new Set(views.filter((v) => !parts.get(v).like).map((v) => v.dataset.level))];
$("level").hidden = levels.length < 2;
for (const l of levels) $("level").add(new Option(`${l}s`, l));
$("level").onchange = (e) => enter(find(view.dataset.kind, e.target.value));
$("below").hidden = !$("charts").querySelector("svg, figure");
function foldBelow() {
  const folded = $("below").classList.toggle("folded");
  $("fold").textContent = `${folded ? "show" : "hide"} norms and heat maps`;
  $("fold").setAttribute("aria-expanded", String(!folded));
}
$("fold").onclick = foldBelow;
if (window.innerWidth <= 600) foldBelow();
$("fit").onclick = fit;
$("in").onclick = () => zoom(1.25);
$("out").onclick = () => zoom(0.8);
$("switch").onclick = turn;
$("play").onclick = play;
$("back").onclick = () => step(-1);
$("on").onclick = () => step(1);
$("speed").onclick = speed;
$("arrows").onclick = byArrow;
$("theme").onclick = dark;
$("search").oninput = (e) => search(e.target.value);
$("search").onkeydown = (e) => { if (e.key === "Enter") next(); if (e.key === "Escape") { e.target.value = ""; search(""); stage.focus(); } };
slider.oninput = (e) => sweepTo(Number(e.target.value));
window.addEventListener("keydown", (e) => {
  if (e.target.tagName === "SELECT" || (e.target.tagName === "INPUT" && e.target.type !== "range")) return;
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "Enter" && node_of(e.target)) { choose(e.target); $("panel").focus(); return; }
  const keys = {
    "0": fit, "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8),
    g: turn, f: byArrow, d: dark, o: () => dive(view.querySelector("g.chosen")), u: () => enter(beside(view, -1)), " ": play, n: next, s: speed, ",": () => step(-1), ".": () => step(1),
    "/": () => $("search").focus(), Escape: back,
    ArrowLeft: () => { x += 60; place(); }, ArrowRight: () => { x -= 60; place(); },
    ArrowUp: () => { y += 60; place(); }, ArrowDown: () => { y -= 60; place(); },
  };
  if (!keys[e.key] || (e.target.type === "range" && e.key.startsWith("Arrow"))) return;
  if (e.key === " " && e.target.tagName === "BUTTON") return;
  e.preventDefault();
  keys[e.key]();
});
window.addEventListener("resize", open);
if (window.matchMedia("(prefers-color-scheme: dark)").matches) dark();
start();
open();
