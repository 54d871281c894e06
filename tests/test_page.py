"""The HTML page in a real browser: nothing asked of the network, every control does its work."""

import importlib.util
import itertools
import shutil
from pathlib import Path

import pytest

from tinygrad_rnn import nn, viz
from tinygrad_rnn.viz import graph

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the extra `browser`")
BROWSER = next(
    (p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium on PATH")

spec = importlib.util.spec_from_file_location(
    "gallery", Path(__file__).parent.parent / "examples" / "gallery.py"
)
gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gallery)
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


def count(page, selector):
    return page.locator(selector).count()


def test_counts_equal_the_graph(load):
    loss = gallery.two_layers()
    found = graph.collect(loss)
    page = load(viz.gradient_flow(loss, steps="all", params="node"))
    for view in ("gradient", "forward"):
        assert count(page, f"#{view} .node") == len(found.vertices)
        assert count(page, f"#{view} .link[data-place]") == len(found.edges)


def test_search(load):
    page = load(viz.unrolled(gallery.lstm()))
    page.keyboard.press("/")
    page.keyboard.type("sigmoid")
    assert page.locator("#found").text_content() == "18 found"
    assert count(page, ".node.hit") == 18
    before = page.locator("section").get_attribute("style")
    page.keyboard.press("Enter")
    assert page.locator("section").get_attribute("style") != before
    page.keyboard.press("Escape")
    assert count(page, ".node.hit") == 0


def test_switch_and_theme(load):
    page = load(viz.gradient_flow(gallery.gru()))
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
    node = page.locator(".node", has_text="h_2 = tanh")
    node.click()
    near = page.locator(".node.near").all_text_contents()
    assert any("h_0 = tanh" in t for t in near)
    assert any("h_5 = tanh" in t for t in near)
    assert "op tanh" in page.locator("#panel").text_content()
    assert 0 < len(near) < count(page, ".node")
    page.keyboard.press("Escape")
    assert count(page, ".node.near") == 0


def test_the_sweep_runs_from_the_loss_to_the_first_input(load):
    page = load(viz.gradient_flow(gallery.lstm()))
    slider = page.locator("#sweep")
    lit = []
    stops = int(slider.get_attribute("max"))
    for k in range(stops + 1):
        slider.evaluate(f"e => {{ e.value = {k}; e.dispatchEvent(new Event('input')); }}")
        lit.append(
            set(
                page.locator("#gradient .node.lit").evaluate_all(
                    "ns => ns.map(n => n.dataset.step)"
                )
            )
        )
    assert lit[0] == set()
    steps = [{int(s) for s in found if s is not None} for found in lit]
    assert all(a <= b for a, b in itertools.pairwise(steps))
    firsts = [next(k for k, found in enumerate(steps) if t in found) for t in range(6)]
    assert firsts == sorted(firsts, reverse=True)
    assert count(page, "#gradient .node.lit") == count(page, "#gradient .node")
    slider.evaluate("e => { e.value = 0; e.dispatchEvent(new Event('input')); }")
    page.click("#play")
    sync_api.expect(slider).not_to_have_value("0")
    sync_api.expect(page.locator("#where")).to_contain_text("nodes")


def test_zoom_and_keys(load):
    page = load(viz.rolled(gallery.lstm()))
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
    page = load(viz.unrolled((y**2).mean(), steps="all"))
    assert count(page, "g.column") == 200
    started = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    print(f"200 steps: loaded after {started / 1000:.2f} s")
    assert started > 0


def test_hostile_names_stay_text(load):
    w = nn.Parameter([1.0, 2.0], name="</script><img src=x onerror=alert(1)>")
    page = load(viz.gradient_flow((w * w).sum()))
    assert count(page, "img") == 0
    assert "<img" in page.locator("#gradient").text_content()
