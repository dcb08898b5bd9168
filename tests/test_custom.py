"""The user's own rules: both engines, several processes, an identity that follows the source; nothing is lost."""

import importlib
import json
import pickle
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from helpers import make_run, same_bits
from typer.testing import CliRunner

import featlearn as fl
from featlearn import custom
from featlearn.cli import app
from featlearn.custom import CustomError, Parcel, find_class, is_own, is_own_file, source_of
from featlearn.optim import SAM, SGD
from featlearn.runs import Trajectory
from featlearn.simulation import simulate
from featlearn.store import Store, StoreWarning, status
from featlearn.store.parquet import FOOTER
from featlearn.sweeps import sweep

RULES = '''
from dataclasses import dataclass

from featlearn.optim import Perturbed
from featlearn.types import NonNegative


@dataclass(frozen=True, kw_only=True)
class MySAM(Perturbed):
    """SAM, scaled.

    scale: what the radius is multiplied with.
    odd: raises where it is above 1.
    """

    scale: NonNegative = 1.0
    odd: NonNegative = 0.0

    def perturbation(self, loss, w, memory, t):
        if t == 2 and (loss.inner(w, w) * 0 + self.odd > 1).any():
            raise ArithmeticError("odd")
        return self.scale * (self.radius(t) * loss.unit(loss.gradient(w))), memory.own


class Local(MySAM):
    pass
'''
RAISING = 1 + next(i for i, line in enumerate(RULES.splitlines()) if "raise " in line)

CONFIG = """
name: own
data: {n_samples: 6, dim: 50, signal_norm: 2.0}
network: {n_filters: 2, init_std: 0.05}
optimizer: {name: "my_rules.py:MySAM", lr: 0.1, rho: 0.1}
train: {n_steps: 6, batch_size: 3}
record: {every: 3, trackers: [loss]}
sweep: {seed: {range: [0, 3]}}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """The working folder, with a rule and a config that names it."""
    monkeypatch.chdir(tmp_path)
    Path("my_rules.py").write_text(RULES)
    Path("own.yaml").write_text(CONFIG)
    return tmp_path


def swept(out="store", *changes, n_jobs=1):
    return sweep("own.yaml", out, set=changes, n_jobs=n_jobs, device="cpu", progress=False)


def by_seed(frame):
    return frame.sort_values(["seed", "step"])[["train_loss", "grad_norm"]].to_numpy()


@pytest.mark.parametrize("engine", ["gram", "weights"])
def test_it_is_the_rule_that_it_spells_out(lab, engine):
    run = fl.load_config("own.yaml", set={"engine": engine}).base_run()
    ours = make_run(SAM(rho=0.1, base=SGD(lr=0.1)))
    twin = type(run)(**{**vars(run), "optimizer": ours.optimizer})
    assert twin.run_id != run.run_id
    a, b = simulate(run), simulate(twin)
    assert same_bits(a, Trajectory(**{**vars(b), "run": run}))
    other = simulate(fl.load_config("own.yaml", set={"engine": engine, "optimizer.scale": 5}).base_run())
    assert abs(other.values["train_loss"] - a.values["train_loss"])[-1] > 1e-4


# who it is


def test_a_run_is_known_by_the_text_of_its_rule_not_by_its_place(lab):
    before = fl.load_config("own.yaml").base_run()
    Path("other").mkdir()
    for name in ("my_rules.py", "own.yaml"):
        Path("other", name).write_text(Path(name).read_text())
    assert fl.load_config("other/own.yaml").base_run().run_id == before.run_id
    Path("my_rules.py").write_text(RULES.replace("scaled.", "scaled by a number."))
    after = fl.load_config("own.yaml").base_run()
    assert after.run_id != before.run_id and type(after.optimizer) is not type(before.optimizer)
    names = {run.columns()["optimizer.name"] for run in (before, after)}
    assert (
        names == {"my_rules.py:MySAM"} and before.columns()["optimizer.source"] != after.columns()["optimizer.source"]
    )
    Path("my_rules.py").write_text(RULES)
    again = fl.load_config("own.yaml").base_run()
    assert again.run_id == before.run_id


def test_a_base_and_its_source_have_columns(lab):
    columns = make_run(SAM(rho=0.1, base=find_class("my_rules.py:MySAM", lab)(rho=0.1, base=SGD(lr=1)).base)).columns()
    assert "optimizer.base.source" not in columns
    text = Path(__file__).parent.joinpath("config", "test_own.py").read_text().split("RULES = '''")[1].split("'''")[0]
    Path("bases.py").write_text(text.replace("    rule: SomeRule\n", "    rule: object\n"))
    plain = find_class("bases.py:Plain", lab)
    columns = make_run(SAM(rho=0.1, base=plain(rate=0.2))).columns()
    assert columns["optimizer.base"] == "bases.py:Plain" and columns["optimizer.rate"] == 0.2
    assert columns["optimizer.base.source"] == source_of(plain).digest and "optimizer.source" not in columns


def test_an_ancestor_in_another_file_counts(lab, monkeypatch):
    """The text of an installed module is read with its class."""
    monkeypatch.syspath_prepend(lab)
    Path("lab_base.py").write_text(RULES)
    Path("mine.py").write_text("from lab_base import MySAM\n\n\nclass Mine(MySAM):\n    pass\n")
    cls = find_class("mine.py:Mine", lab)
    assert source_of(cls).text == f"{Path('mine.py').read_text()}\n# lab_base\n{RULES}"
    assert source_of(find_class("lab_base:MySAM", lab)).name == "lab_base:MySAM"
    sys.modules.pop("lab_base")


@pytest.fixture
def package(lab, monkeypatch):
    """A package with a rule that two of its other modules help; edited, it is imported anew."""
    monkeypatch.syspath_prepend(lab)
    Path("lab_rules").mkdir()
    texts = {
        "__init__": "",
        "mine": RULES.replace("\n\n\n@", "\nfrom lab_rules.size import size\n\n\n@", 1).replace(
            "return self.scale", "return size() * self.scale"
        ),
        "size": "from .factors import FACTOR\n\n\ndef size():\n    return FACTOR\n",
        "factors": "FACTOR = 1.0\n",
        "unused": "",
    }

    def write(**changes):
        for name, text in (texts | changes).items():
            Path("lab_rules", f"{name}.py").write_text(text)
        for name in [name for name in sys.modules if name.partition(".")[0] == "lab_rules"]:
            del sys.modules[name]
        importlib.invalidate_caches()

    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a cache does not distinguish files of equal size and time
    write()
    Path("own.yaml").write_text(CONFIG.replace("my_rules.py:MySAM", "lab_rules.mine:MySAM"))
    yield write
    write()


def test_a_rule_of_a_package_is_known_by_the_modules_that_it_reaches(package):
    before = fl.load_config("own.yaml").base_run()
    package(unused="X = 1\n")
    assert fl.load_config("own.yaml").base_run().run_id == before.run_id
    package(factors="FACTOR = 3.0\n")
    after = fl.load_config("own.yaml").base_run()
    assert after.run_id != before.run_id
    assert simulate(after).values["train_loss"][-1] != simulate(before).values["train_loss"][-1]
    package()
    assert fl.load_config("own.yaml").base_run().run_id == before.run_id


def test_the_store_keeps_the_modules_of_a_package(package):
    swept()
    part, *_ = Path("store/parts").glob("*.parquet")
    (own,) = json.loads(pq.read_schema(part).metadata[FOOTER])["provenance"]["own"]
    named = ["", "lab_rules", "lab_rules.factors", "lab_rules.size"]
    files = ["mine", "__init__", "factors", "size"]
    texts = [Path("lab_rules", f"{name}.py").read_text() for name in files]
    assert own["name"] == "lab_rules.mine:MySAM"
    assert own["text"] == "\n".join(f"# {n}\n{text}" if n else text for n, text in zip(named, texts, strict=True))


def test_a_package_that_is_installed_is_named_with_its_line_too(package, lab, monkeypatch):
    """Its files lie beside those of libraries, whose lines do not concern a user."""
    package(size="def size():\n    raise ArithmeticError('no size')\n")
    paths = sysconfig.get_paths() | {"purelib": str(lab)}
    monkeypatch.setattr(sysconfig, "get_path", paths.__getitem__)
    assert swept().failed == 3
    assert status("store").failures == {"ArithmeticError: no size (lab_rules/size.py:2)": 3}


def test_a_parcel_records_which_files_are_the_users(package, monkeypatch):
    fl.load_config("own.yaml").base_run().columns()
    path = str(Path("lab_rules/factors.py").resolve())
    sent = pickle.dumps(Parcel(["content"]))
    monkeypatch.setattr(custom, "_OWN_PATHS", set())
    assert not is_own_file(path)
    assert pickle.loads(sent) == ["content"] and is_own_file(path)


def test_a_class_without_a_source_is_no_run():
    names = {"__name__": "missing"}
    sys.modules["missing"] = type(sys)("missing")
    exec(RULES, names)
    with pytest.raises(CustomError, match="the source of MySAM cannot be found"):
        source_of(names["MySAM"])
    del sys.modules["missing"]


def test_words_with_a_colon_are_own():
    assert is_own("my_rules.py:MySAM") and not is_own("sam") and not is_own(3)


# stores


def test_an_edited_rule_is_computed_anew_and_a_store_keeps_both(lab):
    assert swept().done == 3
    assert (swept().done, swept().reused) == (0, 3)
    Path("my_rules.py").write_text(RULES.replace("return self.scale", "return 9 * self.scale"))
    assert (swept().done, swept().reused) == (3, 3)
    with pytest.warns(StoreWarning, match="left out 3 runs"):
        latest = fl.summary("store")
    rows = fl.summary("store", all_sweeps=True)
    assert len(latest) == 3 and latest["run_id"].tolist() == rows["run_id"].tolist()[3:]
    assert len(rows) == 6 and rows["optimizer.source"].nunique() == 2
    old, new = (group["train_loss"].to_numpy() for _, group in rows.groupby("optimizer.source", sort=False))
    assert (old != new).all()
    assert set(fl.tables.optimizer_labels(rows)) == {
        f"my_rules.py:MySAM source={digest}" for digest in rows["optimizer.source"]
    }


def test_the_store_keeps_the_source(lab):
    swept()
    part, *_ = Path("store/parts").glob("*.parquet")
    footer = json.loads(pq.read_schema(part).metadata[FOOTER])
    (own,) = footer["provenance"]["own"]
    digest = fl.summary("store")["optimizer.source"].unique()
    assert own == {"name": "my_rules.py:MySAM", "digest": digest[0], "text": RULES}


def test_processes_run_the_source_as_read_also_after_an_edit(lab):
    """Workers get the text: the file may change or be deleted while they compute."""
    swept("alone")
    config = fl.load_config("own.yaml")
    Path("my_rules.py").unlink()
    assert sweep(config, "shared", n_jobs=2, device="cpu", progress=False).done == 3
    alone, shared = fl.load("alone"), fl.load("shared")
    assert by_seed(alone).tobytes() == by_seed(shared).tobytes() and set(alone.run_id) == set(shared.run_id)


def test_a_parcel_arrives_where_the_file_was_never_read(lab):
    run = fl.load_config("own.yaml").base_run()
    Path("broken.py").write_text("raise SystemError")
    with pytest.raises(CustomError):
        find_class("broken.py:Mine", lab)  # sent along, and not run unless used
    Path("parcel").write_bytes(pickle.dumps(Parcel([run])))
    Path("my_rules.py").unlink()
    code = "import pickle; [run] = pickle.load(open('parcel', 'rb')); print(run.run_id, run.optimizer.scale)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [run.run_id, "1.0"]


@pytest.mark.parametrize(("n_jobs", "error"), [(1, "ArithmeticError"), (2, "SystemExit")])
def test_a_rule_that_raises_fails_its_own_runs_with_its_line(lab, n_jobs, error):
    """Runs with other parameters in the same block, and of other optimizers, are kept."""
    Path("my_rules.py").write_text(RULES.replace("ArithmeticError", error))
    odd = "sweep: {optimizer.odd: [0.0, 0.5, 2.0], seed: {range: [0, 2]}}"
    Path("own.yaml").write_text(CONFIG.split("sweep:")[0] + odd)
    report = swept(n_jobs=n_jobs)
    assert (report.done, report.failed) == (4, 2)
    assert status("store").failures == {f"{error}: odd (my_rules.py:{RAISING})": 2}
    rows = fl.summary("store")
    assert (rows["status"] == "failed").tolist() == [False] * 4 + [True] * 2
    assert rows["train_loss"].notna().sum() == 4
    Path("own.yaml").write_text(Path("own.yaml").read_text().replace("2.0]", "0.7]"))
    assert (swept().done, swept().reused) == (2, 6)
    assert Store.open("store").finished() >= set(fl.load("store").run_id)


WRONG = """
from dataclasses import dataclass, replace

from featlearn.optim import SGD, Perturbed


def eps_of(self, loss, w, memory, t):
    return self.radius(t) * loss.unit(loss.gradient(w))


@dataclass(frozen=True, kw_only=True)
class Number(Perturbed):
    def perturbation(self, loss, w, memory, t):
        return 3.0, memory.own


@dataclass(frozen=True, kw_only=True)
class Alone(Perturbed):
    def perturbation(self, loss, w, memory, t):
        return eps_of(self, loss, w, memory, t)


@dataclass(frozen=True, kw_only=True)
class Factors(Perturbed):
    def perturbation(self, loss, w, memory, t):
        return loss.inner(w, w)[:, None, None] * w, memory.own


@dataclass(frozen=True, kw_only=True)
class Shapes(Perturbed):
    def perturbation(self, loss, w, memory, t):
        return replace(w, parts=tuple(part[..., :1] for part in w.parts)), memory.own


@dataclass(frozen=True, kw_only=True)
class Nothing(Perturbed):
    def perturbation(self, loss, w, memory, t):
        eps = eps_of(self, loss, w, memory, t)


@dataclass(frozen=True, kw_only=True)
class Step(SGD):
    def step(self, loss, w, memory, t):
        return w - loss.gradient(w)


@dataclass(frozen=True, kw_only=True)
class Update(SGD):
    def update(self, loss, w, g, memory, t):
        return None, memory


@dataclass(frozen=True, kw_only=True)
class Probe(SGD):
    def probe(self, loss, w, memory, t):
        return w, memory


@dataclass(frozen=True)
class Falls:
    def factor(self, t):
        return "1"


@dataclass(frozen=True)
class Ones:
    def __call__(self, view):
        return {"ones": view.grad_norm.sum()}


@dataclass(frozen=True)
class Listed:
    def __call__(self, view):
        return [1.0]
"""
PAIR = "a Vector and a memory, the Vector "


@pytest.mark.parametrize("engine", ["gram", "weights"])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"name": "Number"}, f"Number.perturbation must return {PAIR}a combination of the parameters.*; found float"),
        ({"name": "Alone"}, "Alone.perturbation must return two things, a Vector and a memory; found .*Vector"),
        ({"name": "Factors"}, rf"Factors.perturbation must return {PAIR}with one factor a run, .*\(\d+, 1, 1\)"),
        ({"name": "Shapes"}, f"Shapes.perturbation must return {PAIR}with parts of shape"),
        ({"name": "Nothing"}, "Nothing.perturbation must return two things, a Vector and a memory; found NoneType"),
        ({"name": "Step"}, "Step.step must return two things, a Vector and a memory; found .*Vector"),
        ({"name": "sam", "base": "Update"}, f"Update.update must return {PAIR}.*; found NoneType"),
        ({"name": "Probe"}, r"Probe.probe must return a Vector .*; found \(\w*Vector, \w*Vector\)"),
        ({"name": "sam", "lr_schedule": "Falls"}, "Falls.factor must return a number; found str"),
        ({"name": "sam", "rho_schedule": "Falls"}, "Falls.factor must return a number; found str"),
        (
            {"name": "sam", "tracker": "Ones"},
            r"Ones.__call__ must return a dict of tensors .*; found Tensor of shape \(\)",
        ),
        ({"name": "sam", "tracker": "Listed"}, "Listed.__call__ must return a dict of tensors .*; found list"),
    ],
)
def test_a_wrong_answer_fails_its_runs_with_the_line_of_the_method(lab, engine, settings, expected):
    """And the sweep goes on."""
    Path("wrong.py").write_text(WRONG)
    own = {key: value if value == "sam" else f"wrong.py:{value}" for key, value in settings.items()}
    trackers = {"record.trackers": ["loss", own.pop("tracker")]} if "tracker" in own else {}
    radius = {} if settings["name"] in ("Step", "Probe") else {"rho": 0.1}
    optimizers = [{"lr": 0.1, **radius, **own}, {"name": "sgd", "lr": 0.1}]
    changes = {"engine": engine, "sweep": {"optimizer": optimizers, "seed": [0, 1]}, **trackers}
    report = sweep("own.yaml", "store", set=changes, device="cpu", progress=False)
    assert (report.done, report.failed) == ((0, 4) if trackers else (2, 2))
    ((message, count),) = status("store").failures.items()
    name, method = expected.split(" ")[0].split(".")
    lines = WRONG.splitlines()
    heading = next(i for i, text in enumerate(lines) if re.match(rf"class {name}\b", text))
    line = next(i for i, text in enumerate(lines, 1) if i > heading and f"def {method}(" in text)
    assert re.match(f"AnswerError: {expected}", message) and message.endswith(f"(wrong.py:{line})")
    assert count == report.failed


def test_a_run_that_raises_ends_the_command_with_the_line(lab):
    done = CliRunner().invoke(app, ["run", "own.yaml", "--set", "optimizer.odd=2"])
    assert done.exit_code == 1
    assert done.stderr == f"the run failed: ArithmeticError: odd (my_rules.py:{RAISING})\n"


def test_a_rule_is_read_without_torch(lab):
    code = "import featlearn as fl, sys; print(fl.load_config('own.yaml').n_runs, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "False"]


def test_a_rule_that_ends_its_process_fails_its_own_run_also_with_one_job(lab, monkeypatch):
    monkeypatch.setattr("featlearn.sweeps.pool.ATTEMPTS", 1)
    Path("my_rules.py").write_text(RULES.replace('raise ArithmeticError("odd")', "__import__('os')._exit(7)"))
    report = swept("store", "sweep={optimizer.odd: [0.0, 0.5, 2.0]}")
    assert (report.done, report.failed) == (2, 1)
    last = fl.summary("store", columns=["optimizer.odd", "message", "traceback"], where={"status": "failed"})
    assert last.fillna("").values.tolist() == [[2.0, "the process computing it ended with exit code 7", ""]]


MIXED = '''
from dataclasses import dataclass
from typing import Literal

from featlearn.optim import Perturbed


@dataclass(frozen=True, kw_only=True)
class Mine(Perturbed):
    """SAM with a cut.

    cut: a number, a switch, or a word.
    """

    cut: float | bool | Literal["auto"] | None = None

    def perturbation(self, loss, w, memory, t):
        return self.radius(t) * loss.unit(loss.gradient(w)), memory.own
'''


def test_a_setting_of_several_types_is_kept_as_it_is(lab):
    """In one block, in several parts, and after a sweep in which it has another type."""
    Path("mixed.py").write_text(MIXED)
    cuts = ["auto", 0.5, True, None]
    for swept in (cuts, [1.5]):
        optimizer = [{"name": "mixed.py:Mine", "lr": 0.1, "rho": 0.1, "cut": swept}]
        changes = {"record.trackers": ["loss"], "sweep": {"optimizer": optimizer, "seed": [0, 1]}}
        report = sweep("own.yaml", "store", set=changes, device="cpu", progress=False)
        assert (report.done, report.failed) == (2 * len(swept), 0)
    expected = [cut for cut in (*cuts, 1.5) for _ in range(2)]
    found = [*fl.summary("store", all_sweeps=True)["optimizer.cut"]]
    assert found == expected and [*map(type, found)] == [*map(type, expected)]
