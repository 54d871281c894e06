"""Diagrams as files: every form, without an engine, with hostile labels, from the command line."""

import importlib.util
import json
import re
import subprocess
import sys

import graphviz
import numpy as np
import pytest
from diagrams import HERE, boxes, gallery, gradient_flow, lasting, plain, rolled, unrolled
from hypothesis import given, settings, strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import nn, viz
from tinygrad_rnn.errors import RenderError
from tinygrad_rnn.viz.__main__ import main as draw_main
from tinygrad_rnn.viz.layout import engine

# files and engines ----------------------------------------------------------------


@pytest.mark.parametrize("form", ["svg", "gv", "html", "png", "pdf"])
def test_files(form, tmp_path):
    path = unrolled(gallery.rnn()).save(tmp_path / f"a.{form}")
    start = {
        "svg": b"<svg",
        "gv": b"digraph",
        "html": b"<!DOCTYPE",
        "png": b"\x89PNG",
        "pdf": b"%PDF",
    }
    assert path.read_bytes().startswith(start[form])
    assert [p.name for p in tmp_path.iterdir()] == [f"a.{form}"]


def test_pip_packages_alone_are_enough(tmp_path, monkeypatch):
    """With an empty PATH the wheel paints."""
    monkeypatch.setenv("PATH", str(tmp_path))
    engine.layout.cache_clear()
    assert engine.command(True, "png")[0][0] == sys.executable
    for form in ("svg", "png", "pdf"):
        assert rolled(gallery.gru()).save(tmp_path / f"a.{form}").stat().st_size > 2000
        assert unrolled(gallery.two_layers()).save(tmp_path / f"b.{form}").stat().st_size > 2000


def test_without_any_engine(tmp_path, monkeypatch):
    """The DOT file is written, without places; words say how to get an engine, in notebooks too."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    engine.layout.cache_clear()
    for k, draw in enumerate((unrolled, rolled, gradient_flow)):
        diagram = draw(gallery.rnn())
        for form in ("png", "svg", "html"):
            words = rf"install Graphviz.*PATH.*pip install 'tinygrad_rnn\[render\]'.*a{k}\.gv"
            with pytest.raises(RenderError, match=words):
                diagram.save(tmp_path / f"a{k}.{form}")
        assert (tmp_path / f"a{k}.gv").read_text() == diagram.source
        assert "h₀ = tanh" in diagram.source or "hₜ = tanh" in diagram.source
        assert "install Graphviz" in diagram._repr_mimebundle_()["text/plain"]


def test_an_engine_that_hangs_is_stopped(monkeypatch):
    endless = [sys.executable, "-c", "while True: pass"]
    monkeypatch.setattr(engine, "command", lambda *_: (endless, ""))
    with pytest.raises(RenderError, match=r"longer than 0\.3 s.*viz\.rolled"):
        engine.paint("digraph {}", "png", seconds=0.3)
    monkeypatch.setattr(
        engine, "command", lambda *_: ([sys.executable, "-c", "raise SystemExit(3)"], "")
    )
    with pytest.raises(RenderError, match="exit status 3"):
        engine.paint("digraph {}", "png")


def test_any_tool_that_opens_the_file_paints_it(tmp_path):
    """`dot` itself leaves the places as they are; the field's own object is handed out."""
    diagram = unrolled(gallery.lstm(), steps=[0, -1])
    assert isinstance(diagram.dot, graphviz.Digraph)
    assert diagram.dot.source == diagram.source == diagram.save(tmp_path / "a.dot").read_text()
    for tool in (["dot"], ["dot", "-Kneato", "-n2"]):
        done = subprocess.run(
            [*tool, "-Tjson", tmp_path / "a.dot"], capture_output=True, check=True
        )
        placed = {o["name"]: o for o in json.loads(done.stdout)["objects"]}
        xs = [b.x for b in diagram.picture.boxes if b.vertex >= 0]
        found = [
            float(placed[b.name]["pos"].split(",")[0])
            for b in diagram.picture.boxes
            if b.vertex >= 0
        ]
        np.testing.assert_allclose(np.diff(found), np.diff(xs), atol=0.3)


def test_a_png_too_wide_is_refused(tmp_path):
    diagram = unrolled(lasting(120), steps="all")
    with pytest.raises(RenderError, match="32,767"):
        diagram.save(tmp_path / "a.png")
    assert diagram.save(tmp_path / "a.svg").exists()


@pytest.mark.parametrize("draw", [viz.unrolled, viz.rolled, viz.gradient_flow])
def test_a_page_leaves_out_the_levels_that_have_no_layout(draw, monkeypatch):
    """Where `dot` fails for gates, the page has cells and ops; cells, shown first, it must have."""
    diagram, real = draw(gallery.lstm(), level="cell"), engine.layout

    def failing(words):
        def layout(sources):
            if any(words in source for source in sources):
                raise RenderError("no layout")
            return real(sources)

        return layout

    monkeypatch.setattr(engine, "layout", failing("σ"))
    levels = re.findall(r'<section id="[^"]*" data-kind="forward" data-level="(\w+)"', diagram.html)
    assert levels == ["cell", "op"]
    monkeypatch.setattr(engine, "layout", failing("digraph"))
    with pytest.raises(RenderError, match="no layout"):
        draw(gallery.lstm(), level="cell").html  # noqa: B018


def test_a_layout_that_takes_too_long_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "SECONDS", 1e-6)
    engine.layout.cache_clear()
    with pytest.raises(RenderError, match=r"for a plain layout.*tg\.step\(t\).*a\.gv"):
        unrolled(plain()).save(tmp_path / "a.svg")


def test_paths_that_cannot_be_written(tmp_path):
    diagram = unrolled(plain())
    for bad, words in (
        ("a.jpg", r"\.svg, \.png"),
        ("none/a.svg", "cannot write into"),
        ("a", "suffix"),
    ):
        with pytest.raises(RenderError, match=words):
            diagram.save(tmp_path / bad)
    (tmp_path / "b.svg").mkdir()
    with pytest.raises(RenderError, match="cannot write"):
        diagram.save(tmp_path / "b.svg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.svg"]


# bad input ------------------------------------------------------------------------

HOSTILE = [
    '"', "\\", "\\N\\G", "<b>bold</b>", "<not html", "a\nb", "a\r\tb", "emoji 🙂 漢字", "&amp;&lt;", "]]>", "{x|y}",
    "</script><script>alert(1)</script>", "\x00\x1f\x7f", "\ud800", "x" * 10_000, "", " ", "%s {0}", "'; --",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_labels(name):
    check_label(name)


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_fuzzed_labels(name):
    check_label(name)


def check_label(name):
    w = nn.Parameter(np.ones(2, np.float32), name=name)
    h = w * 2
    h.name = name
    with tg.scope(name.replace(".", "")):
        loss = (h * w).sum()
    diagram = viz.gradient_flow(loss)
    clean = [line for *_, lines, _ in boxes(diagram) for line in lines]
    assert all(len(line) <= 40 for line in clean)
    import pygraphviz

    source = diagram.source.encode("utf-8", "strict").decode()
    assert len(pygraphviz.AGraph(source).nodes()) >= 4
    html = diagram.html.encode()
    assert html.count(b"<script>") == 1
    assert html.count(b"<b>") == 0


# the command ----------------------------------------------------------------------


def test_draw(tmp_path, capsys):
    what = f"{HERE.parent / 'examples' / 'gallery.py'}:lstm"
    for extra in ([], ["--view", "rolled"], ["--view", "gradient", "--steps", "0,2:4,-1"]):
        assert draw_main([what, *extra, "-o", str(tmp_path / "a.svg")]) == 0
    shown = set(re.findall(r'class="node column step(\d)"', (tmp_path / "a.svg").read_text()))
    assert shown == {"0", "2", "3", "5"}
    assert draw_main([what, "-o", str(tmp_path / "a.svg")]) == 0  # as the library draws it
    assert (tmp_path / "a.svg").read_text() == viz.unrolled(gallery.lstm()).svg
    options = ["--level", "cell", "--direction", "right"]
    assert draw_main([what, *options, "-o", str(tmp_path / "a.svg")]) == 0
    cells = viz.unrolled(gallery.lstm(), level="cell", direction="right")
    assert (tmp_path / "a.svg").read_text() == cells.svg
    several = tmp_path / "several.py"
    several.write_text(
        "import tinygrad_rnn as tg\n"
        "def out():\n    return tg.nn.LSTM(3, 4)(tg.ones(4, 2, 3))\n"
        "def none():\n    return ()\n"
        "def wrong():\n    return tg.nn.RNN(3, 4)(tg.ones(4, 2, 3))[0], 3\n"
    )
    assert draw_main([f"{several}:out", "-o", str(tmp_path / "a.svg")]) == 0
    assert (tmp_path / "a.svg").read_text().count("node output") == 3  # y, h and c
    for bad, words in (
        ([f"{several}:none"], "or several, got ()"), ([f"{several}:wrong"], "or several, got int"),
        (["nothing.py:f"], "no file"), ([what + "x"], "no function 'lstmx'"), ([what, "--steps", "a"], "--steps"),
        ([str(HERE / "test_viz_files.py")], "FILE.py:FUNCTION"),
    ):  # fmt: skip
        assert draw_main([*bad, "-o", str(tmp_path / "b.svg")]) == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / "b.svg").exists()


def test_the_page_asks_nothing_of_the_network():
    html = viz.gradient_flow(gallery.lstm()).html
    links = set(re.findall(r'(?:src|href)="([^"#]*)', html)) | set(
        re.findall(r"url\(([^#)][^)]*)", html)
    )
    assert links == {"data:,"}
    assert "default-src 'none'" in html
    assert len(re.findall(r"https?://", html)) == len(
        re.findall(r"http://www\.w3\.org/(?:2000/svg|1999/xlink)", html)
    )
    assert html.count("<section") == 4  # gates and ops, with the gradient and without
