"""The examples in quick mode, the README's code, and the tools' own checks."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg

ROOT = Path(__file__).parent.parent


sys.path.insert(0, str(ROOT / "examples"))  # as for a script that is run there


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def forecast():
    return load(ROOT / "examples" / "forecast.py")


def test_forecast_writes_table_pictures_and_figures(forecast, tmp_path, capsys):
    result = forecast.main(
        ["--quick", "--draw", "--out", str(tmp_path), "--hidden", "4", "--epochs", "3"]
    )
    text = capsys.readouterr().out
    assert re.search(r"seasonal naive x growth\s+13.43", text)
    assert "skill" in text
    assert "the best baseline, seasonal naive x growth: MAE" in text
    assert re.search(r"Over many origins:\n.*WQL.*\nLSTM .*\nnaive ", text)
    for name in ("forecast.png", "training.png", "rolling.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    assert "30 identical" in (tmp_path / "unrolled.svg").read_text()
    assert "× 36 steps" in (tmp_path / "rolled.svg").read_text()
    assert "half-life" in (tmp_path / "gradient.html").read_text()
    written = json.loads((tmp_path / "forecast.json").read_text())
    assert written["setting"]["epochs"] == 3
    assert written["rows"]["LSTM"] == result["rows"]["LSTM"]
    assert len(written["forecasts"]["0"]) == 12


def test_forecast_takes_a_csv_of_the_users(forecast, tmp_path, capsys):
    rows = [f"2001-{m:02d},{k}" for k, m in enumerate(range(1, 13))]
    rows += [f"{2002 + k // 12}-{k % 12 + 1:02d},{k % 4 + k / 9:.3f}" for k in range(48)]
    path = tmp_path / "mine.csv"
    path.write_text("month,sales\n" + "\n".join(rows) + "\n")
    out = tmp_path / "out"
    forecast.main(
        ["--data", str(path), "--column", "sales", "--date-column", "month", "--season", "4",
         "--horizon", "4", "--cell", "gru", "--init", "uniform", "--quick", "--origins", "0", "--out", str(out)]
    )  # fmt: skip
    assert "sales: 60 values, 2001-01 to 2005-12" in capsys.readouterr().out


BAD = [
    (["--seeds", "0"], "--seeds must be at least 1"),
    (["--data", "nowhere.csv"], "nowhere.csv: cannot be read"),
    (["--lookback", "3"], "does not reach back one season"),
    (["--lookback", "130"], "the series has 144 values"),
    (["--clip-norm", "0"], "--clip-norm must be positive"),
    (["--out", "/dev/null/x"], "--out /dev/null/x: cannot be written"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_forecast_refuses_before_it_trains(forecast, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(tg.DataError, match=message):
        forecast.main(["--quick", *arguments])


def test_forecast_that_is_resumed_has_the_same_bits(forecast, tmp_path, monkeypatch):
    arguments = [
        "--quick",
        "--hidden",
        "4",
        "--epochs",
        "2",
        "--origins",
        "1",
        "--out",
        str(tmp_path),
    ]
    expected = forecast.main(arguments)["forecasts"]
    monkeypatch.setattr(tg.train.loop, "_one_epoch", None)  # nothing is left to train
    assert forecast.main([*arguments, "--resume"])["forecasts"] == expected
    with pytest.raises(tg.CheckpointError, match=r"epochs: 3 here, 2 there"):
        forecast.main([*arguments, "--resume", "--epochs", "3"])


def test_bptt_by_hand_equals_the_tape(capsys):
    assert load(ROOT / "examples" / "bptt_by_hand.py").main() < 1e-12
    text = capsys.readouterr().out
    assert text.count("E_3 -> Y_3 -> S_3 -> S_2 -> S_1 ") == 4
    assert "largest difference" in text


def test_custom_cell_checks_and_trains(tmp_path):
    example = load(ROOT / "examples" / "custom_cell.py")
    result = example.main(["--quick", "--out", str(tmp_path)])
    assert len(result["losses"]) == 5
    assert np.isfinite(result["final"])
    assert (tmp_path / "custom_cell.png").exists()
    resumed = example.main(["--quick", "--resume", "--out", str(tmp_path)])
    assert resumed["losses"] == result["losses"]


def test_choosing_defaults_goes_on_where_it_was_stopped(tmp_path, capsys, monkeypatch):
    example = load(ROOT / "examples" / "choose_defaults.py")
    monkeypatch.setattr(example, "ORIGINS", 2)
    arguments = ["--quick", "--eager", "--workers", "1", "--out"]
    whole = example.main([*arguments, str(tmp_path / "whole")])
    assert np.shape(whole["errors"]) == (1, 2, 3)
    assert "| lstm | 16 | 24 | 0.01 |" in capsys.readouterr().out
    errors = []

    class Stopping(example.Run):  # of the parent alone
        def log(self, **numbers):
            if len(errors) == 5:  # after the checkpoint of 4
                raise KeyboardInterrupt
            errors.append(numbers)
            super().log(**numbers)

    with monkeypatch.context() as patch:
        patch.setattr(example, "Run", Stopping)
        with pytest.raises(KeyboardInterrupt):
            example.main([*arguments, str(tmp_path / "cut")])
        errors.clear()
        again = example.main([*arguments, str(tmp_path / "cut"), "--resume"])
    assert len(errors) == 2
    assert again["errors"] == whole["errors"]


TASKS = {
    "adding_problem": ["--length", "8", "--hidden", "4", "--updates", "4", "--nets", "gru"],
    "copy_memory": ["--delay", "2", "--updates", "4", "--nets", "orthogonal"],
    "temporal_order": ["--length", "10", "--updates", "4"],
}


@pytest.mark.parametrize("name", TASKS)
def test_tasks_print_published_figures_draw_and_resume_to_the_same_bits(
    name, tmp_path, capsys, monkeypatch
):
    example = load(ROOT / "examples" / f"{name}.py")

    def losses(out, *more):
        nets = example.main(["--quick", "--out", str(out), *TASKS[name], *more])["nets"].values()
        return [r["norm"] for net in nets for r in (net if isinstance(net, list) else [net])]

    whole = losses(tmp_path)
    assert all(len(loss) == 4 and np.isfinite(loss).all() for loss in whole)
    text = capsys.readouterr().out
    assert "et al. 20" in text
    assert name != "temporal_order" or re.search(r"not clipped +10 +0 of 1 +80 in vain", text)
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    assert json.loads((tmp_path / f"{name}.json").read_text())["options"]["quick"]
    clip, calls, Run = tg.optim.clip_grad_norm_, iter(range(9)), example.train.Run

    def dying(*arguments, **options):
        if next(calls) == 2:
            raise MemoryError
        return clip(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(example.train, "Run", lambda *a, **k: Run(*a, **{**k, "every": 1}))
        patch.setattr(tg.optim, "clip_grad_norm_", dying)
        with pytest.raises(MemoryError):
            losses(tmp_path / "cut")
    assert losses(tmp_path / "cut", "--resume") == whole
    assert losses(tmp_path, "--eager") == pytest.approx(np.array(whole), rel=1e-3)


GRADIENTS = {
    "vanishing_gradients": ["--nets", "orthogonal", "lstm", "--lags", "3", "--hidden", "8"],
    "exploding_gradients": ["--ways", "none", "norm", "step norm", "--hidden", "16"],
    "truncation_bias": ["--truncations", "10", "45"],
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_examples_of_gradients_print_draw_and_resume(name, tmp_path, capsys, monkeypatch):
    example = load(ROOT / "examples" / f"{name}.py")
    arguments = ["--quick", *GRADIENTS[name], "--out", str(tmp_path)]
    whole = example.main(arguments)
    text = capsys.readouterr().out
    expected = {
        "vanishing_gradients": r"orthogonal +\d+ +\d+ +\d+ %",
        "exploding_gradients": r"norm +0.1000 .* to the end +0\.\d+",
        "truncation_bias": r"10 +10.000000 +10.000000  wrong .* diverges",
    }[name]
    assert re.search(expected, text), text
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    with monkeypatch.context() as patch:
        patch.setattr(tg.optim.SGD, "step", None)  # nothing is left to train
        patch.setattr(tg.optim.Adam, "step", None)
        again = example.main([*arguments, "--resume"])
    assert {**again, "options": 0} == {**whole, "options": 0}
    eager = example.main([*arguments, "--eager"])
    assert eager.keys() == whole.keys()
    with pytest.raises(tg.CheckpointError, match=r"here, .* there"):
        example.main([*arguments, "--resume", "--lr", "0.5"])


def test_marks_of_the_adding_problem():
    example = load(ROOT / "examples" / "adding_problem.py")
    for T in (4, 5, 100):
        for marks, ends in (
            ("halves", (T // 2, T)),
            ("first", (min(10, T), T // 2)),
            ("any", (T, T)),
        ):
            a, b = example.places(T, 20_000, marks, tg.Generator(0))
            assert (a != b).all()
            assert (a.min(), a.max()) == (0, ends[0] - 1)
            assert (b.min(), b.max()) == (T // 2 if marks == "halves" else 0, ends[1] - 1)
        x, y = example.batch(T, 50, "any", tg.Generator(0))
        numbers, marked = x.numpy().transpose(2, 0, 1)
        assert (marked.sum(0) == 2).all()
        assert np.allclose((numbers * marked).sum(0), y.numpy())


def test_places_of_temporal_order():
    example = load(ROOT / "examples" / "temporal_order.py")
    lengths = set()
    for seed in range(80):
        for where in ("pascanu", "hs97"):
            x, y = example.batch(100, 50, where, tg.Generator(seed))
            symbols = x.numpy().argmax(-1)
            found = [np.flatnonzero(s < 2) for s in symbols.T]
            assert all(10 <= a < 20 and 50 <= b < 60 for a, b in found)
            order = [s[at] @ [1, 2] for s, at in zip(symbols.T, found, strict=True)]
            assert (order == y.numpy()).all()
            ends = (symbols[0] == 6).all() and (symbols[-1] == 7).all()
            assert ends == (where == "hs97")
            lengths.add((where, len(symbols)))
    assert lengths == {("pascanu", 100), *(("hs97", T) for T in range(100, 111))}


SIGNALS = {
    "speech": (r"Kudo et al. 1999 +94.1 %", ("confusion", "alignment", "training")),
    "heartbeat": (r"1-NN, time warping +0\.\d+ +\.77", ("heartbeat", "where")),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_are_read_beside_published_figures_drawn_and_resumed(
    name, tmp_path, capsys, monkeypatch
):
    example = load(ROOT / "examples" / f"{name}.py")
    arguments = ["--quick", "--eager", "--out", str(tmp_path)]
    draws = name == "speech"  # 96 steps take seconds more
    whole = example.main([*arguments, *["--draw"] * draws])
    text, pictures = SIGNALS[name]
    assert re.search(text, capsys.readouterr().out)
    for picture in pictures:
        assert (tmp_path / f"{picture}.png").stat().st_size > 10_000
    if draws:
        assert "ctc_nll" in (tmp_path / "unrolled.svg").read_text()
        assert (tmp_path / "gradient.html").stat().st_size > 10_000
    monkeypatch.setattr(tg.optim.AdamW, "step", None)  # nothing is left to train
    again = example.main([*arguments, "--resume"])
    assert {**again, "options": 0, "seconds": 0} == {**whole, "options": 0, "seconds": 0}
    with pytest.raises(tg.CheckpointError, match=r"here, .* there"):
        example.main([*arguments, "--resume", "--cell", "lstm"])


def test_time_warping_is_that_of_the_recurrence():
    example, rng = load(ROOT / "examples" / "heartbeat.py"), np.random.default_rng(0)
    for n, m in ((1, 1), (1, 4), (5, 3), (6, 6)):
        a, b = rng.standard_normal(n), rng.standard_normal(m)
        D = np.full((n + 1, m + 1), np.inf)
        D[0, 0] = 0
        for i in range(1, n + 1):
            for j in range(1, m + 1):
                D[i, j] = (a[i - 1] - b[j - 1]) ** 2 + min(
                    D[i - 1, j], D[i, j - 1], D[i - 1, j - 1]
                )
        assert example.warped(a, np.stack([b, b + 1]))[0] == pytest.approx(D[n, m], rel=1e-12)


def test_translate_reads_numbers_draws_attention_and_resumes(tmp_path, capsys, monkeypatch):
    example = load(ROOT / "examples" / "translate.py")
    monkeypatch.setattr(example, "SIZES", dict.fromkeys(example.SIZES, 1000))  # 20 each
    arguments = ["--quick", "--eager", "--nets", "dot", "--updates", "3", "--out", str(tmp_path)]
    whole = example.main(arguments)["nets"]
    assert re.search(r"dot, Luong et al. 2015: beam of 4 +\d+\.\d\d \+- ", capsys.readouterr().out)
    assert (tmp_path / "attention_dot.png").stat().st_size > 10_000
    monkeypatch.setattr(tg.optim.Adam, "step", None)  # nothing is left to train
    again = example.main([*arguments, "--resume"])["nets"]
    assert {**again["dot"][0], "seconds": 0} == {**whole["dot"][0], "seconds": 0}
    parts = json.loads((tmp_path / "numbers_20.json").read_text())
    words = example.in_words(1_000_081)
    assert words["de"] == ["eine", " Million", " ein", "und", "acht", "zig"]
    assert words["fr"] == ["un", " million", " quatre", "-vingt", "-un"]
    english = {name: [" ".join(p["en"]) for p in part] for name, part in parts.items()}
    assert len(set().union(*english.values())) == 80  # no number twice
    assert all(
        (len(w.split()) > 12) == (name == "longer") for name in english for w in english[name]
    )


def test_the_copy_task_asks_for_what_it_showed():
    example = load(ROOT / "examples" / "copy_memory.py")
    x, y = example.batch(7, 3, tg.Generator(0))
    shown = x.numpy().argmax(-1)
    assert (shown[:10] == y.numpy()[-10:]).all()
    assert (shown[16] == 9).all()
    assert not shown[10:16].any()
    assert not shown[17:].any()
    assert not y.numpy()[:17].any()
    net = example.Orthogonal(3, 8, tg.Generator(0))
    U = net.U.weight
    U.assign_(U.numpy() + 1e-3 * tg.Generator(1).normal((8, 8)))
    for _ in range(3):
        net.project()
    assert np.abs(U.numpy() @ U.numpy().T - np.eye(8)).max() < 1e-6


def run_blocks(path, least):
    """The text of a page, whose Python blocks were run one after the other."""
    text = path.read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) >= least
    names = {}
    for block in blocks:
        exec(compile(block, path.name, "exec"), names)
    return text


PAGES = {"writing": 3, "seeing": 5, "running": 2, "training": 4, "internals": 2}


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_the_docs_runs(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_blocks(ROOT / "docs" / f"{page}.md", PAGES[page])
    found = "detect_anomaly: log, step 2 gives 1 of 1 values" in capsys.readouterr().out
    assert found == (page == "writing")


def test_pages_link_to_what_is_there():
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "examples/README.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), (page.name, link)


def test_the_code_of_the_readme_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it draws
    run_blocks(ROOT / "README.md", 4)
    out = capsys.readouterr().out
    assert "(7, 4, 16) (4, 4, 8)" in out
    assert [p.name for p in tmp_path.iterdir()] == ["textbook.svg"]
    assert float(re.search(r"mean loss ([\d.]+)", out)[1]) < 0.05


def test_the_floors_hold_and_their_check_fails_on_a_planted_import(tmp_path, monkeypatch):
    check = load(ROOT / "tools" / "check_floors.py")
    assert check.problems() == []
    root = tmp_path / "tinygrad_rnn"
    (root / "kernels").mkdir(parents=True)
    (root / "kernels" / "bad.py").write_text("from ..ops.shape import reshape\n")
    (root / "nn").mkdir()
    (root / "nn" / "bad.py").write_text("import tinygrad_rnn.optim\nfrom .. import optim\n")
    (root / "stray.py").write_text("\n" * 600)
    (root / "nn" / "__init__.py").write_text("from .bad import bad as bad\n")
    monkeypatch.setattr(check, "ROOT", root)
    found = "\n".join(check.problems())
    assert "kernels (floor 1) imports ops (floor 3)" in found
    assert found.count("nn (floor 10) imports optim (floor 10)") == 2
    assert "'stray' stands on no floor" in found
    assert "'bad' is a module and a public name" in found


def test_a_page_names_every_file_on_its_floor():
    text = (ROOT / "docs" / "internals.md").read_text()
    rows = {
        floor: names
        for floor, names in re.findall(r"^\| (\d+) \| (.*?) \|", text, re.M)
        if "`" in names
    }
    written = {
        name: int(n) for n, row in rows.items() for name in re.findall(r"`(\w+)(?:/|\.py)`", row)
    }
    floors = load(ROOT / "tools" / "check_floors.py").FLOORS
    assert written == {name: floor for name, floor in floors.items() if name != "__init__"}


@pytest.mark.parametrize("page", ["docs/internals", "docs/training", "examples/README"])
def test_files_that_a_page_names_are_there(page):
    named = set(re.findall(r"`([\w/.]+\.(?:py|js|md|txt))`", (ROOT / f"{page}.md").read_text()))
    files = [
        f"/{p.relative_to(ROOT).as_posix()}" for p in ROOT.rglob("*.*") if ".venv" not in p.parts
    ]
    assert named
    assert not {name for name in named if not any(f.endswith(f"/{name}") for f in files)}
