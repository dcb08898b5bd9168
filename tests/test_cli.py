"""The command line: exit codes, messages without tracebacks, nothing written after an error."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from matplotlib import pyplot as plt
from typer.testing import CliRunner

import featlearn as fl
from featlearn.cli import app
from featlearn.store import StoreWarning
from featlearn.sweeps import SweepInterrupted, SweepReport

CONFIG = """\
name: tiny
data: {n_samples: 4, dim: 50, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.05}
optimizer: {name: sgd, lr: 0.1}
train: {n_steps: 6}
record: {every: 3, trackers: [loss, decomposition]}
sweep:
  data.signal_norm: [1.0, 3.0]
  optimizer: [{name: sgd, lr: 0.1}, {name: sam, lr: 0.1, rho: 0.05}]
  seed: {range: [0, 3]}
"""


PHASE = "phase", "-x", "data.signal_norm", "-y", "data.dim", "--value", "train_loss"


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(CONFIG)
    return path


def call(*words):
    """Call the command line in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def featlearn(*words, **options):
    """Start the command line as a user does."""
    command = [sys.executable, "-c", "from featlearn.cli import main; main()", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.fixture
def store(config, tmp_path):
    assert call("sweep", config, "--out", tmp_path / "store").exit_code == 0
    return tmp_path / "store"


def test_a_warning_goes_to_standard_error_and_changes_no_exit_code(config, tmp_path):
    friendly = ["--set", "optimizer={name: f_sam, lr: 0.1, rho: 0.1}"]
    for command in (["validate", config], ["run", config], ["sweep", config, "--out", tmp_path / "store"]):
        result = call(*command, *friendly)
        assert result.exit_code == 0 and "downhill" not in result.stdout
        assert result.stderr.count("warning: --set: optimizer: f_sam on the full batch perturbs downhill") == 1


def test_from_config_to_figure(config, store, tmp_path):
    again = call("sweep", config, "--out", store)
    assert again.exit_code == 0 and "0 done, 12 reused, 0 failed" in again.stdout
    assert len(fl.load(store)) == 12 * 3

    drawn = call(
        *("plot", "dynamics", store, "-o", tmp_path / "f.svg", "--column", "train_loss", "--log"),
        *("--where", "data.signal_norm=1", "--optimizer", "sgd"),
    )
    assert drawn.exit_code == 0, drawn.stderr
    assert (tmp_path / "f.svg").read_text().startswith("<?xml")
    assert pd.read_csv(tmp_path / "f.csv")["step"].max() == 6


def test_where_reads_values_as_set_does(store, tmp_path):
    plot = (
        "plot",
        "dynamics",
        store,
        "-o",
        tmp_path / "f.svg",
        "--column",
        "train_loss",
        "--where",
        "data.signal_norm=1.",
    )
    where = "network.bias=False", "data.flip_prob=.0", "data.noise=shared", "optimizer.lr=1e-1", "optimizer.name='sgd'"
    drawn = call(*plot, *[word for condition in where for word in ("--where", condition)])
    assert drawn.exit_code == 0, drawn.stderr
    for wrong, message in (("seed=01", "--where: seed: 01 has a leading zero"), ("seed=[", "--where: seed: not YAML")):
        refused = call(*plot, "--where", wrong)
        assert refused.exit_code == 2 and message in refused.stderr


def test_run_prints_how_the_base_run_ended(config):
    result = call("run", config, "--set", "train.n_steps=2")
    assert result.exit_code == 0
    assert result.stdout.startswith("tiny, seed 0: ok; ")
    assert {"run_id", "step", "train_loss"} <= {line.split()[0] for line in result.stdout.splitlines()[1:]}


def test_a_run_that_raises_is_no_success(config, monkeypatch):
    monkeypatch.setattr(sys.modules["featlearn.simulation"], "simulate_block", lambda *_, **__: 1 / 0)
    result = call("run", config)
    assert result.exit_code == 1
    assert result.stderr.startswith("the run failed: ZeroDivisionError: division by zero (tests/test_cli.py:")


def test_a_run_that_calls_sys_exit_fails_like_one_that_raises(config, monkeypatch):
    monkeypatch.setattr(sys.modules["featlearn.simulation"], "simulate_block", lambda *_, **__: sys.exit("bye"))
    result = call("run", config)
    assert result.exit_code == 1
    assert result.stderr.startswith("the run failed: SystemExit: bye (tests/test_cli.py:")


def test_status_reports_failed_runs_and_why(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("featlearn.sweeps.worker.simulate_block", lambda *_, **__: 1 / 0)
        result = call("sweep", config, "--out", tmp_path / "s")
    assert result.exit_code == 1
    assert "12 failed" in result.stdout and "featlearn status" in result.stderr
    result = call("status", tmp_path / "s")
    assert result.exit_code == 0
    assert "12 x ZeroDivisionError: division by zero (tests/test_cli.py:" in result.stdout
    left = call("sweep", config, "--out", tmp_path / "s")
    assert left.exit_code == 1 and "12 runs failed: " in left.stderr and "--retry failed" in left.stderr
    assert call("sweep", config, "--out", tmp_path / "s", "--retry", "failed").exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in call("status", tmp_path / "s").stdout.splitlines()[1:])
    assert lines == {"runs": "12", "done": "12 (0 fitted, 0 diverged, 0 reused)", "failed": "0", "missing": "0"}


def test_a_plot_has_a_sheet_of_its_own(store, tmp_path):
    sheet = "--title", "A title", "--no-caption", "--dpi", 50
    plot = "plot", "curve", store, "-o", tmp_path / "f.png", "--value", "train_loss", *sheet
    assert call(*plot, "--size", "6x4").exit_code == 0
    assert plt.imread(tmp_path / "f.png").shape[:2] == (200, 300)
    bad = call(*plot, "--size", "6,4")
    assert (bad.exit_code, bad.stderr) == (
        2,
        "error: --size expects WIDTH or WIDTHxHEIGHT in inches, such as 3.25 or 6.9x3, found '6,4'\n",
    )
    bad = call(*plot, "--overlay")
    assert (bad.exit_code, bad.stderr) == (2, "error: curve has no option --overlay; dynamics and edge have it\n")
    follow = "plot", "dynamics", store, "-o", tmp_path / "d.png", "--where", "data.signal_norm=1"
    assert call(*follow, "--column", "train_loss", "--overlay", "--log-y").exit_code == 0


@pytest.mark.parametrize("backend", ["module://not_installed_here.inline", "no_backend"])
def test_a_plot_is_drawn_whatever_the_callers_settings(store, tmp_path, backend):
    """As another environment's notebook leaves them, with LaTeX requested where there may be none."""
    settings = "text.usetex: True\nbackend: gtk3cairo\nsavefig.bbox: tight\nsavefig.format: svg\nfigure.dpi: 30\n"
    (tmp_path / "matplotlibrc").write_text(settings)
    command = "import sys; from featlearn.cli import main; sys.argv[0] = 'featlearn'; main()"
    there = {"env": {**os.environ, "MPLBACKEND": backend}, "cwd": tmp_path, "capture_output": True, "text": True}
    plot = [sys.executable, "-c", command, "plot", *PHASE, str(store), "-o"]
    done = subprocess.run([*plot, str(tmp_path / "theirs.png")], **there)
    assert done.returncode == 0, done.stderr
    assert call("plot", *PHASE, store, "-o", tmp_path / "ours.png").exit_code == 0
    assert (tmp_path / "theirs.png").read_bytes() == (tmp_path / "ours.png").read_bytes()


def test_a_plot_loads_no_more_than_it_needs(store, tmp_path):
    code = (
        "import atexit, sys\nfrom featlearn.cli import main\n"
        "atexit.register(lambda: print(sorted({'torch', 'seaborn', 'scipy', 'numba', 'joblib'} & set(sys.modules))))\n"
        f"sys.argv = {['featlearn', 'plot', *PHASE, str(store), '-o', str(tmp_path / 'f.png')]}\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done


def test_a_plot_reports_how_many_runs_it_lacks(config, tmp_path, monkeypatch):
    whole = sys.modules["featlearn.sweeps.worker"].simulate_block

    def fails_for_a_seed(runs, **options):
        if any(run.seed == 2 for run in runs):
            raise ZeroDivisionError
        return whole(runs, **options)

    with monkeypatch.context() as patch:
        patch.setattr("featlearn.sweeps.worker.simulate_block", fails_for_a_seed)
        assert call("sweep", config, "--out", tmp_path / "s").exit_code == 1
    plot = "plot", "dynamics", tmp_path / "s", "-o", tmp_path / "d.png", "--where", "data.signal_norm=1"
    plotted = call(*plot)
    assert plotted.exit_code == 0 and "4 failed runs are not in it" in plotted.stderr
    assert call("sweep", config, "--out", tmp_path / "s", "--retry", "failed").exit_code == 0
    assert "failed" not in call(*plot).stderr


def test_runs_of_an_earlier_sweep_are_reported_and_drawn_only_on_request(config, store, tmp_path):
    plot = "plot", "dynamics", store, "-o", tmp_path / "d.png", "--column", "train_loss"
    plot = *plot, "--where", "data.signal_norm=1", "--optimizer", "sgd"
    drawn = call(*plot)
    before = pd.read_csv(tmp_path / "d.csv")
    assert drawn.exit_code == 0 and not drawn.stderr

    edit = "--set", "record.trackers=[loss]"  # as little as a comment in a rule: the same numbers, other identities
    assert "runs of earlier sweeps (12)" in call("sweep", config, "--out", store, *edit).stdout
    assert "others   12 (of earlier sweeps" in call("status", store).stdout
    assert call(*plot).stderr.startswith("warning: left out 12 runs")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "d.csv"), before)
    assert call(*plot, "--all-sweeps").stderr.startswith("error: 2 runs share optimizer.name = sgd, seed = 0; ")

    more = "--set", "sweep.seed={range: [1, 4]}"
    assert "it also holds" not in call("sweep", config, "--out", tmp_path / "t", *more).stdout
    assert "runs of earlier sweeps (4)" in call("sweep", config, "--out", tmp_path / "t").stdout
    for options, n in ((), 3), (("--all-sweeps",), 4):
        drawn = call(*(tmp_path / "t" if word == store else word for word in plot), *options)
        assert drawn.exit_code == 0 and bool(drawn.stderr) == (n == 3)
        assert pd.read_csv(tmp_path / "d.csv")["n"].max() == n


def test_validate_counts_and_expands(config):
    assert "12 runs" in call("validate", config).stdout
    expanded = call("validate", config, "--expand").stdout
    assert "12 different runs in 4 cells" in expanded
    assert any(line.split() == ["data.signal_norm", "1", "3"] for line in expanded.splitlines())
    assert "1 run" in call("validate", config, "--set", "sweep=null").stdout
    spaced = call("validate", config, "--set", "sweep.data.dim={geomspace: [30, 4000, 5]}").stdout
    assert "data.dim rounded to integers: 30, 102, 346, 1177, 4000" in spaced


def test_schema_version_and_list():
    assert '"properties"' in call("schema").stdout
    assert call("--version").stdout == f"featlearn {fl.__version__}\n"
    assert "rho" in call("list", "optimizers").stdout.split()
    brief, long = call("list", "schedules").stdout, call("list", "schedules", "cosine").stdout
    assert "  steps  final=0.0  warmup=0\n" in brief and "step (gram, weights; " in brief
    assert "CosineAnnealingLR" in long and "a number >= 0 and <= 1" in long and "step (" not in long
    assert {"sgd", "gram", "weights", "signal_noise", "test_error"} <= set(call("list").stdout.split())
    assert {"train.n_steps", "record.every", "sampling", "dtype"} <= set(call("list", "config").stdout.split())
    assert "  default  {log: 50}\n" in call("list", "config", "record.every").stdout
    assert "did you mean 'record.every'" in call("list", "config", "evry").stderr


def test_export_writes_plain_arrays(config, tmp_path):
    import numpy as np

    assert call("export", config, "-o", tmp_path / "run.npz").exit_code == 0
    with np.load(tmp_path / "run.npz") as arrays:
        assert arrays["patches"].shape == (4, 2, 50)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sweep", "{config}", "--out", "{foreign}"], "not empty"),
        (["sweep", "{config}", "--out", "{config}"], "is a file"),
        (["sweep", "{config}", "--out", "{config}/below"], "cannot"),
        (["sweep", "{config}", "--out", "{new}", "--jobs", "0"], "jobs"),
        (["sweep", "{config}", "--out", "{new}", "--device", "tpu"], "device"),
        (["sweep", "{config}", "--out", "{new}", "--backend", "ray"], "backend must be loky or dask"),
        (["sweep", "{config}", "--out", "{new}", "--time-limit", "0"], "time_limit"),
        (["sweep", "{config}", "--out", "{new}", "--retry", "all"], "retry is failed"),
        (["sweep", "{config}", "--out", "{new}", "--shard", "2"], "i/n"),
        (["sweep", "{config}", "--out", "{new}", "--set", "optimizer.lr=-1"], "optimizer.lr"),
        (["sweep", "{config}", "--out", "{new}", "--set", "optimizer.rho=-1"], "optimizer.rho: expected a number >= 0"),
        (
            ["sweep", "{config}", "--out", "{new}", "--set", "optimizer={{name: sam, lr: 1, rho: 1, start: 99}}"],
            "optimizer.start: expected an integer < train.n_steps = 6, found 99",
        ),
        (["sweep", "{config}", "--out", "{new}", "--set", "optimizer.name=a.py:B"], "cannot read a.py: No such file"),
        (["sweep", "{config}", "--out", "{new}", "--set", "optimizer.name=a.b:C"], "there is no module 'a.b'"),
        (["sweep", "{config}"], "--out"),
        (["sweep", "{foreign}/absent.yaml", "--out", "{new}"], "absent.yaml"),
        (["run", "{config}", "--set", "data.dmi=3"], "did you mean 'dim'"),
        (["validate", "{foreign}/note.txt"], "note.txt"),
        (["status", "{foreign}"], "not a featlearn store"),
        (["status", "{new}"], "no store at"),
        (["plot", "phase", "{new}", "-o", "{foreign}/f.png"], "no store at"),
        (["plot", "phase", "{new}", "-o", "{foreign}/f.gif"], ".png"),
        (["plot", "pie", "{new}", "-o", "{foreign}/f.png"], "phase"),
        (["list", "shapes"], "optimizers"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_wrong_call_gets_one_message_exit_2_and_writes_nothing(config, tmp_path, words, message):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "note.txt").write_text("- not\n- a config\n")
    before = sorted(tmp_path.rglob("*"))
    result = call(*(word.format(config=config, foreign=foreign, new=tmp_path / "new") for word in words))
    assert result.exit_code == 2, result.output
    assert message in result.stderr and not result.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_column_is_a_message_too(store, tmp_path):
    result = call("plot", "phase", store, "-o", tmp_path / "f.png", "--value", "tset_error")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ") and not (tmp_path / "f.png").exists()


def test_a_tracker_that_a_plot_lacks_is_named(store, tmp_path):
    result = call("plot", "edge", store, "-o", tmp_path / "f.png")
    assert result.exit_code == 2 and not (tmp_path / "f.png").exists()
    assert result.stderr == (
        "error: 12 runs (sgd, sam) hold no sharpness: add the tracker sharpness to record.trackers\n"
    )


def test_a_bug_is_not_passed_off_as_the_users_mistake(config, monkeypatch):
    monkeypatch.setattr("featlearn.texts.config_text", lambda config: {}["bug"])
    assert isinstance(call("validate", config).exception, KeyError)


def test_an_interrupted_sweep_exits_130_and_explains_how_to_resume(config, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise SweepInterrupted(SweepReport(total=12, reused=0, done=5), tmp_path)

    monkeypatch.setattr("featlearn.sweeps.sweep", interrupted)
    result = call("sweep", config, "--out", tmp_path / "s")
    assert result.exit_code == 130
    assert "5 done, 0 reused, 0 failed, 7 missing; the same call resumes" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_leaves_a_store_that_the_same_call_completes_bit_for_bit(config, tmp_path):
    words = ["sweep", config, "--set", "sweep.seed={range: [0, 500]}", "--set", "train.n_steps=60"]
    words += ["--set", "record.every=20"]
    process = featlearn(  # a shell may start tests with SIGINT ignored, and a child would inherit that
        *words, "--jobs", "2", "--out", tmp_path / "s", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    first = next(line for line in process.stderr if " done" in line)  # not the one on compilation
    process.send_signal(signal.SIGINT)
    message = process.communicate(timeout=60)[1]
    assert process.returncode == 130, first + message
    assert "interrupted: " in message and "Traceback" not in message
    kept = len(fl.summary(tmp_path / "s"))
    assert 0 < kept < 2000
    resumed = call(*words, "--out", tmp_path / "s")
    assert resumed.exit_code == 0 and f"{kept} reused" in resumed.stdout
    assert call(*words, "--out", tmp_path / "t").exit_code == 0
    pd.testing.assert_frame_equal(fl.load(tmp_path / "s"), fl.load(tmp_path / "t"), check_exact=True)


@pytest.mark.parametrize("words", [["--help"], ["sweep", "--help"], ["validate", "{config}"], ["schema"]])
def test_quick_commands_load_neither_torch_nor_pandas(config, words):
    script = (
        "import atexit, sys; from featlearn.cli import main\n"
        "atexit.register(lambda: print(sorted({'torch', 'pandas', 'pyarrow', 'matplotlib'} & set(sys.modules))))\n"
        "main()"
    )
    words = [word.format(config=config) for word in words]
    result = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "[]"


def test_importing_featlearn_loads_nothing_and_names_survive_their_modules():
    script = (
        "import sys, featlearn as fl; print(len([m for m in sys.modules if m.startswith('featlearn')]));"
        "import featlearn.simulation; from featlearn.sweeps import sweep;"
        "print(callable(fl.simulate), fl.sweep is sweep)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ)
    assert result.stdout.split() == ["1", "True", "True"], result.stderr


def test_every_public_name_is_there():
    for name in fl.__all__:
        assert getattr(fl, name) is not None
    assert Path(fl.plots.__file__).name == "__init__.py"
    with pytest.raises(AttributeError, match="nonsense"):
        _ = fl.nonsense


def test_shards_are_merged_into_the_store_of_one_sweep(config, store, tmp_path):
    shards = [tmp_path / f"shard{i}" for i in (1, 2)]
    for i, shard in enumerate(shards, start=1):
        assert call("sweep", config, "--out", shard, "--shard", f"{i}/2").exit_code == 0
    part = call("merge", shards[0], "-o", tmp_path / "part")
    assert (part.exit_code, part.stdout) == (0, f"{tmp_path / 'part'}: 6 runs, 6 missing\n")
    whole = call("merge", *shards, "-o", tmp_path / "whole")
    assert (whole.exit_code, whole.stdout) == (0, f"{tmp_path / 'whole'}: 12 runs\n")
    pd.testing.assert_frame_equal(fl.load(tmp_path / "whole"), fl.load(store), check_exact=True)
    refused = call("merge", *shards, "-o", store)
    assert refused.exit_code == 2 and refused.stderr == f"error: {store} is not empty: give a new or an empty folder\n"


def test_a_store_is_compacted(config, tmp_path):
    for i in (1, 2, 3):
        assert call("sweep", config, "--out", tmp_path / "s", "--shard", f"{i}/3").exit_code == 0
    whole = fl.load(tmp_path / "s")
    done = call("compact", tmp_path / "s")
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 's'}: 6 parts, now 2\n")  # one a rule: columns differ
    pd.testing.assert_frame_equal(fl.load(tmp_path / "s"), whole, check_exact=True)
    assert call("sweep", config, "--out", tmp_path / "s").stdout.startswith("tiny: 0 done, 12 reused")


def test_a_sweep_sets_damage_aside_and_computes_only_what_was_lost(config, store, tmp_path):
    whole = fl.load(store)
    part, *_ = sorted((store / "parts").iterdir())
    lost = pq.read_metadata(part).num_rows
    content = part.read_bytes()
    assert call("sweep", config, "--out", store, "--set", "sweep.seed={range: [0, 4]}").exit_code == 0
    part.write_bytes(content[:-1] + b"?")
    (store / "featlearn.json").write_text("")
    shown = call("status", store)
    assert shown.exit_code == 0 and f"missing  {lost}" in shown.stdout
    assert f"anew:\n  parts/{part.name}: its end is missing\nfeatlearn.json: it is broken; " in shown.stdout
    again = call("sweep", config, "--out", store)
    texts = [line for line in again.stderr.splitlines() if line.startswith("warning: ")]
    assert len(texts) == 2 and f"moved into {store / 'damaged'}: {part}" in texts[0] and "made " in texts[1]
    assert (
        again.stdout.startswith(f"tiny: {lost} done, {12 - lost} reused") and (store / "damaged" / part.name).exists()
    )
    with pytest.warns(StoreWarning, match="left out 4 runs"):
        pd.testing.assert_frame_equal(fl.load(store), whole, check_exact=True)
