"""The HTML page in a real browser: nothing asked of the network, every control does its work."""

import re
import shutil

import numpy as np
import pytest
from diagrams import gallery

from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz.flow.contributions import contributions
from tinygrad_rnn.viz.graph import building

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
BROWSER = next(
    (p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium on PATH")

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def load(browser, tmp_path):
    """Open a diagram's page; the test fails if it asked for anything or reported an error."""
    seen = []
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(10_000)
    page.on("console", lambda m: seen.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: seen.append(str(e)))
    page.on(
        "request",
        lambda r: seen.append(r.url) if not r.url.startswith(("file:", "data:")) else None,
    )

    def opened(diagram):
        path = diagram.save(tmp_path / "page.html")
        page.goto(path.as_uri())
        return page

    yield opened
    assert seen == []
    page.close()


NODE = "g.node[role=button]"


def count(page, selector):
    return page.locator(selector).count()


def test_counts_equal_the_graph(load):
    loss = gallery.two_layers()
    found = building.collect(loss)
    diagram = viz.gradient_flow(loss, steps="all", params="node", level="op")
    page = load(diagram)
    for view in ("gradient", "forward"):
        assert count(page, f"#{view} {NODE}") == len(found.vertices)
        drawn = [line for line in diagram.picture.lines if line.edges]
        assert count(page, f"#{view} .link") >= len(drawn)
        branches = [line for line in drawn if not line.source.startswith("n")]
        assert (
            sum(len(line.edges) for line in drawn) >= len(found.edges) >= len(drawn) - len(branches)
        )


def test_search(load):
    page = load(viz.unrolled(gallery.lstm(), level="op"))
    page.keyboard.press("/")
    page.keyboard.type("sigmoid")
    assert page.locator("#found").text_content() == "18 found"
    assert count(page, "g.hit") == 18
    before = page.locator("section").get_attribute("style")
    page.keyboard.press("Enter")
    assert page.locator("section").get_attribute("style") != before
    page.keyboard.press("Escape")
    assert count(page, "g.hit") == 0


def test_switch_and_theme(load):
    page = load(viz.gradient_flow(gallery.gru(), level="op"))
    assert page.locator("#gradient").is_visible()
    page.click("#switch")
    assert page.locator("#forward").is_visible()
    assert not page.locator("#gradient").is_visible()
    assert "|g|" not in page.locator("#forward").text_content()
    page.keyboard.press("g")
    assert page.locator("#gradient").is_visible()
    page.keyboard.press("d")
    assert "dark" in page.locator("html").get_attribute("class")


def test_a_node_s_past_and_future(load):
    page = load(viz.unrolled(gallery.rnn()))
    node = page.locator(NODE, has_text="h₂ = tanh")
    node.click()
    near = page.locator("g.node.near").all_text_contents()
    assert any("h₀ = tanh" in t for t in near)
    assert any("h₅ = tanh" in t for t in near)
    assert "op tanh" in page.locator("#panel").text_content()
    assert 0 < len(near) < count(page, NODE)
    page.keyboard.press("Escape")
    assert count(page, "g.node.near") == 0


def test_the_sweep_has_a_stop_for_each_step(load):
    """After the loop, each step from the last, before the loop; all that a step holds with it."""
    page = load(viz.gradient_flow(gallery.lstm(), level="op"))
    slider = page.locator("#sweep")
    assert slider.get_attribute("max") == "8"
    titles, lit = [], []
    for _ in range(8):
        page.keyboard.press(".")
        titles.append(page.locator("#where").text_content())
        lit.append(count(page, "#gradient g.lit[role=button]"))
    wanted = ["after the loop", *(f"t = {t}" for t in (5, 4, 3, 2, 1, 0)), "before the loop"]
    assert titles == [f"{w}: {k} of 8" for k, w in enumerate(wanted, 1)]
    sizes = np.diff(lit).tolist()
    assert len(set(sizes[:6])) == 1  # each step whole, its weights' stubs with it
    assert count(page, "#gradient g.node.lit") == count(page, f"#gradient {NODE}")
    page.keyboard.press(",")
    assert page.locator("#where").text_content().startswith("t = 0")
    slider.evaluate("e => { e.value = 0; e.dispatchEvent(new Event('input')); }")
    page.click("#play")
    sync_api.expect(slider).not_to_have_value("0")
    page.click("#play")
    stopped = slider.input_value()
    page.click("#speed")
    assert page.locator("#speed").text_content() == "2×"
    assert slider.input_value() == stopped


def test_the_sweep_goes_by_arrows_with_formulas(load):
    """A stop for each arrow in the tape's order, its formula and numbers; what waits is pale."""
    loss = gallery.textbook()
    told = contributions(loss.node, building.collect(loss))
    page = load(viz.gradient_flow(loss, params="edges"))
    assert page.locator("#formula").is_hidden()
    page.click("#arrows")
    slider, seen = page.locator("#sweep"), []
    for k in range(1, int(slider.get_attribute("max")) + 1):
        page.keyboard.press(".")
        assert count(page, "#gradient g.link.now") == 1
        assert count(page, "#gradient g.link.lit") == k
        seen += page.locator("#formula").text_content().split("\n")
    formulas = [c.formula for c in told]
    assert [s for s in seen if "Wx" in s and s.startswith("∂L/∂Wx")] != []
    for text in seen:
        formula = next(f for f in formulas if text.startswith(f))
        value = next(c.value for c in told if c.formula == formula)
        number = re.search(r"= {2}([^ ]+)", text)
        assert number is None or float(number[1]) == pytest.approx(float(value), rel=5e-3)
    assert page.locator("#where").text_content() == f"t = 1: {k} of {k}"
    assert len(seen) == len(set(seen)) > 15
    page.keyboard.press("f")
    assert slider.get_attribute("max") == "4"
    page.keyboard.press("g")
    assert page.locator("#arrows").is_hidden()


def test_ops_are_stops_where_there_are_no_steps(load):
    w = nn.Parameter([1.0, 2.0], name="w")
    page = load(viz.gradient_flow((w * w).sum()))
    assert page.locator("#sweep").get_attribute("max") == "2"


def test_a_phone_and_the_dark(load):
    page = load(viz.gradient_flow(gallery.lstm(), level="op"))
    page.set_viewport_size({"width": 390, "height": 800})
    header = page.locator("header").bounding_box()
    assert header["height"] < 50  # one row
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("scale") >= 0.6  # readable, not shrunk to fit
    page.locator("#gradient g.node.value").first.click()
    panel = page.locator("#panel").bounding_box()
    assert 0 <= panel["x"] <= panel["x"] + panel["width"] <= 390
    page.keyboard.press("Escape")
    page.keyboard.press("0")
    assert page.evaluate("scale") < 0.2
    paper = "getComputedStyle(document.querySelector('section svg > g > polygon')).fill"
    page.keyboard.press("d")
    assert page.evaluate(paper) == "rgb(217, 220, 224)"


def test_in_the_dark_what_is_strong_stays_strong(load):
    """A thicker arrow stands out more against its ground, light or dark."""
    page = load(viz.gradient_flow(gallery._decay(0.5, steps=8), level="gate"))
    arrows = """[...document.querySelectorAll("#gradient g.link path")].map(e => {
        const s = getComputedStyle(e); return [s.strokeWidth, s.stroke, s.strokeDasharray]; })"""
    ground = "getComputedStyle(document.querySelector('section svg > g > polygon')).fill"
    for _ in range(2):
        found = {
            (float(width.removesuffix("px")), contrast(colour, page.evaluate(ground)))
            for width, colour, dashes in page.evaluate(arrows)
            if dashes == "none"
        }
        contrasts = [c for _, c in sorted(found)]
        assert len(contrasts) > 4
        assert contrasts == sorted(contrasts)
        assert contrasts[-1] > 7  # WCAG 2.2, level AAA for text
        page.keyboard.press("d")


def contrast(a, b):
    """The contrast ratio of two CSS colours (WCAG 2.2)."""
    light = []
    for colour in (a, b):
        parts = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        light.append(np.dot([0.2126, 0.7152, 0.0722], linear))
    return (max(light) + 0.05) / (min(light) + 0.05)


def vertices(page, selector):
    """Which vertices the boxes there stand for."""
    return page.locator(selector).evaluate_all("es => es.filter(e => e.about).map(e => e.about.v)")


def test_a_click_opens_one_cell_a_level_finer(load):
    """Beside the picture, which stays: gates of the cell, ops of the gate, and back again."""
    y, _ = nn.LSTM(3, 4, num_layers=2)(gallery.series(4))
    diagram = viz.gradient_flow((y**2).mean())
    page = load(diagram)
    cell = page.locator("#gradient g.node.cell").nth(5)
    parts = set(cell.evaluate("e => e.about.parts"))
    cell.click()
    assert page.locator("#gradient").is_visible()
    assert page.locator("#panel b").text_content() == "LSTM.l1, t = 2: gates"
    gates = vertices(page, "#panel g.node[tabindex]")
    found = building.collect((y**2).mean()).vertices
    assert set(gates) <= parts
    assert {found[v].name for v in gates} >= {"i", "f", "g", "o", "c", "h"}
    assert {found[v].step for v in gates} == {2}
    assert {found[v].scope for v in gates} == {"LSTM.l1"}
    assert "c₁" in page.locator("#panel text.from").all_text_contents()
    assert [w.split(":")[0] for w in page.locator("#panel figcaption").all_text_contents()] == [
        "value",
        "gradient",
    ]
    page.locator("#panel g.node.gate", has_text="i₂").click()
    assert page.locator("#panel b").text_content() == "i₂: ops"
    assert {found[v].op for v in vertices(page, "#panel g.node[tabindex]")} == {"sigmoid", "index"}
    page.locator("#panel g.node", has_text="sigmoid").click()
    assert count(page, "#panel svg") == 0  # nothing is finer than an op
    assert "op sigmoid" in page.locator("#panel").text_content()
    for title in ("i₂: ops", "LSTM.l1, t = 2: gates"):
        page.keyboard.press("Escape")
        assert page.locator("#panel b").text_content() == title
    page.click("#close")
    assert page.locator("#panel").is_hidden()
    assert count(page, "#gradient g.chosen") == 0


def test_a_column_of_gates_opens_into_its_ops(load):
    loss = gallery.lstm()
    page = load(viz.unrolled(loss))
    page.locator("g.column").nth(3).click(position={"x": 6, "y": 40})
    assert page.locator("#panel b").text_content() == "t = 3: ops"
    inside = vertices(page, "#panel g.node[tabindex]")
    found = building.collect(loss).vertices
    ops = {v.number for v in found if v.kind == "op" and v.step == 3}
    assert {v for v in inside if found[v].kind == "op"} == ops
    assert {found[v].name for v in inside if found[v].kind == "parameter"} == {
        "weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
    }  # fmt: skip
    page.locator("section g.column").nth(1).click(position={"x": 6, "y": 20}, force=True)
    assert page.locator("#panel b").text_content() == "t = 1: ops"


def test_a_rolled_gate_opens_too(load):
    page = load(viz.rolled(gallery.lstm()))
    page.locator("section:not([hidden]) g.node.gate", has_text="fₜ").click()
    assert page.locator("#panel b").text_content() == "fₜ: ops"
    assert count(page, "#panel g.node[tabindex]") == 2  # the sigmoid, and its piece of the sum
    page.click("#all")
    assert page.locator("#forward-op").is_visible()


def test_a_cell_opens_by_keyboard(load):
    y, _ = nn.LSTM(3, 4, num_layers=2)(gallery.series(3))
    page = load(viz.unrolled((y**2).mean()))
    cell = page.locator("g.node.cell").first
    cell.focus()
    page.keyboard.press("Enter")
    title = page.locator("#panel b")
    assert title.text_content() == "LSTM.l0, t = 0: gates"
    gate = page.locator("#panel g.node.gate").first
    for _ in range(9):
        page.keyboard.press("Tab")
        if gate.evaluate("e => e === document.activeElement"):
            break
    page.keyboard.press("Enter")
    assert title.text_content().endswith("ops")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()
    assert cell.evaluate("e => e === document.activeElement")


def test_levels_of_the_whole_picture(load):
    """All of it goes a level down; what was chosen is marked, and in sight."""
    y, _ = nn.LSTM(3, 4, num_layers=2)(gallery.series(4))
    page = load(viz.gradient_flow((y**2).mean()))
    levels = page.locator("#level")
    assert levels.locator("option").all_text_contents() == ["cells", "gates", "ops"]
    cells = page.locator("#gradient g.node.cell")
    assert cells.count() == 8
    cells.nth(5).click()
    label = cells.nth(5).get_attribute("aria-label")
    page.click("#all")
    assert page.locator("#gradient-gate").is_visible()
    assert not page.locator("#gradient").is_visible()
    opened = page.locator("#gradient-gate g.opened")
    steps = {
        opened.nth(k).get_attribute("class").split("step")[1][0] for k in range(opened.count())
    }
    assert steps == {label.split("step ")[1][0]}
    box = page.locator("#stage").bounding_box()
    near = opened.nth(opened.count() // 2).bounding_box()
    assert box["x"] <= near["x"] <= box["x"] + box["width"]
    page.locator("#gradient-gate g.node.gate").first.click(force=True)
    page.keyboard.press("o")
    assert page.locator("#gradient-op").is_visible()
    page.click("#switch")
    assert page.locator("#forward-op").is_visible()
    page.keyboard.press("u")
    assert page.locator("#forward-gate").is_visible()
    levels.select_option("cell")
    assert page.locator("#forward").is_visible()
    page.keyboard.press(".")
    assert page.locator("#where").text_content().endswith("of 5")


def pixels(canvas):
    """The colours (rows, columns, 3) of a canvas, read at once."""
    data = canvas.evaluate(
        "c => Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    )
    return np.reshape(data, (canvas.evaluate("c => c.height"), -1, 4))[..., :3].tolist()


def test_heat_maps_go_with_the_slider(load):
    """A row a unit, a column a step: the colours follow the numbers, the mark the slider."""
    loss = gallery.rnn()
    values = viz.heatmap(loss, "h").arrays["h"]["value"][:, 0]
    page = load(viz.gradient_flow(loss))
    maps = page.locator("#maps figure")
    words = maps.locator("figcaption").all_text_contents()
    assert [w.split(",")[0] for w in words] == ["h: values", "h: gradient of the loss"]
    canvas = maps.nth(0).locator("canvas")
    assert canvas.evaluate("c => [c.width, c.height]") == [6, 4]
    largest = np.unravel_index(np.abs(values).argmax(), values.shape)
    t, unit = (int(k) for k in largest)
    red, _, blue = pixels(canvas)[3 - unit][t]  # the first unit at the bottom
    assert (red > blue) == (values[largest] > 0)
    assert {red, blue} == ({178, 43} if red > blue else {33, 172})
    mark = maps.nth(0).locator("i")
    assert not mark.is_visible()
    for _ in range(3):
        page.keyboard.press(".")
    step = int(page.locator("#where").text_content().split("=")[1].split(":")[0])
    assert mark.evaluate("m => m.style.left") == f"{100 * step / 6:.6g}%"
    at = canvas.bounding_box()
    canvas.click(position={"x": at["width"] * 1.5 / 6, "y": 5})
    assert page.locator("#where").text_content().startswith("t = 1")
    page.click("#fold")
    assert not page.locator("#charts").is_visible()
    page.click("#fold")


def test_curves_and_legend_stay_where_they_are(load):
    page = load(viz.gradient_flow(gallery.lstm()))
    below = page.locator("#charts > svg")
    assert "exactly 0" in below.text_content()
    assert "exactly 0" not in page.locator("#gradient").text_content()
    before = below.bounding_box()
    page.locator("#stage").focus()
    for key in ("+", "+", "ArrowLeft"):
        page.keyboard.press(key)
    assert below.bounding_box() == before


def test_tensors_of_a_box_as_a_small_heat_map(load):
    """More than four numbers as colours, fewer as they are; a compressed row's value is none."""
    w = nn.Parameter(np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), name="w")
    page = load(viz.gradient_flow((w * w).sum()))
    page.locator(NODE, has_text="w").first.click()
    words = page.locator("#panel figcaption").all_text_contents()
    assert words[0] == "value: 2 × 3, −1.00 … 1.00"
    assert words[1].startswith("gradient: 2 × 3, 0.40 … 2.0")
    canvas = page.locator("#panel canvas").nth(0)
    seen = pixels(canvas)
    assert seen[0][0] == [33, 102, 172]
    assert seen[1][2] == [178, 24, 43]
    page.locator(NODE, has_text="sum").first.click()
    assert page.locator("#panel figcaption").all_text_contents() == ["value 2.8", "gradient 1"]


def test_a_freed_graph_has_no_tensors(load):
    loss = gallery.rnn()
    with viz.record() as flow:
        loss.backward()
    page = load(viz.gradient_flow(loss, flow=flow))
    page.locator(NODE).first.click()
    assert count(page, "#panel figure") == 0
    assert count(page, "#maps figure") == 2  # the record kept the states


def test_two_fingers_zoom(load):
    page = load(viz.rolled(gallery.lstm()))
    before = page.evaluate("scale")
    page.evaluate(
        """() => {
      const send = (kind, id, x, y) => document.getElementById("stage").dispatchEvent(
        new PointerEvent(kind, { pointerId: id, clientX: x, clientY: y, bubbles: true }));
      send("pointerdown", 1, 400, 400); send("pointerdown", 2, 500, 400);
      send("pointermove", 2, 600, 400); send("pointerup", 1, 400, 400); send("pointerup", 2, 600, 400);
    }"""
    )
    assert page.evaluate("scale") == pytest.approx(min(8, 2 * before))
    assert page.locator("#panel").is_hidden()


def test_nodes_are_reached_by_keyboard(load):
    page = load(viz.unrolled(gallery.rnn()))
    page.locator("#stage").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator("#panel").is_visible()
    label = page.locator("g.chosen").get_attribute("aria-label")
    assert "shape (2, 4)" in label
    assert "shape (2, 4)" in page.locator("#panel").text_content().splitlines()


def test_what_is_put_in_is_not_filled_in_again(load):
    w = nn.Parameter([1.0], name="{{script}}")
    diagram = viz.gradient_flow((w * w).sum())
    page = load(diagram)
    assert diagram.html.count('querySelectorAll("section")') == 1
    assert "{{script}}" in page.locator("#gradient").text_content()


def test_zoom_and_keys(load):
    page = load(viz.rolled(gallery.lstm(), level="op"))
    section = page.locator("section")
    seen = [section.get_attribute("style")]
    for key in ("+", "-", "ArrowLeft", "0"):
        page.keyboard.press(key)
        seen.append(section.get_attribute("style"))
    assert len(set(seen)) == 3  # in and out again, to the right, and all of it
    page.mouse.move(700, 500)
    page.mouse.down()
    page.mouse.move(800, 550, steps=4)
    page.mouse.up()
    moved = section.get_attribute("style")
    assert moved != seen[-1]
    page.mouse.wheel(0, -400)
    sync_api.expect(section).not_to_have_attribute("style", moved)


def test_a_long_graph_opens(load):
    y, _ = nn.LSTM(3, 4)(gallery.series(200))
    page = load(viz.unrolled((y**2).mean(), steps="all", level="op"))
    assert count(page, "g.column") == 200


def test_a_cell_of_a_long_graph_opens(load):
    """Its gates are on the page once for each kind of step, with the words of the step clicked."""
    y, _ = nn.LSTM(3, 4)(gallery.series(200))
    loss = (y**2).mean()
    page = load(viz.gradient_flow(loss, steps="all", level="cell"))
    page.locator("#gradient g.node.cell").nth(120).evaluate("e => choose(e)")
    assert page.locator("#panel b").text_content() == "LSTM.l0, t = 120: gates"
    boxes = page.locator("#panel g.node[tabindex]")
    words = " ".join(boxes.locator("text").all_text_contents())
    assert all(f"{name}₁₂₀" in words for name in ("i", "f", "g", "o", "c", "h", "x"))
    assert "c₁₁₉" in page.locator("#panel text.from").all_text_contents()
    assert count(page, "#all, #level:not([hidden])") == 0
    boxes.filter(has_text="i₁₂₀").click()
    assert page.locator("#panel b").text_content() == "i₁₂₀: ops"
    page.locator("#panel g.node", has_text="sigmoid").click()
    assert "step 120" in page.locator("#panel").text_content()
    assert count(page, "#panel figure") == 0  # no numbers of the step drawn in its place
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    assert page.locator("#panel b").text_content() == "LSTM.l0, t = 120: gates"


def test_hostile_names_stay_text(load):
    w = nn.Parameter([1.0, 2.0], name="</script><img src=x onerror=alert(1)>")
    page = load(viz.gradient_flow((w * w).sum()))
    assert count(page, "img") == 0
    assert "<img" in page.locator("#gradient").text_content()
