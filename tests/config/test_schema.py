"""The JSON schema accepts valid configs, and refuses invalid ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from helpers import OF_DNSAM

from featlearn.config import load_config, schema

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def written_out(node: Any, definitions: dict[str, Any]) -> int:
    """The letters of a schema with every reference resolved."""
    if isinstance(node, dict) and "$ref" in node:
        return written_out(definitions[node["$ref"].rpartition("/")[2]], definitions)
    if isinstance(node, dict):
        return 2 + sum(len(k) + 6 + written_out(v, definitions) for k, v in node.items() if k != "$defs")
    if isinstance(node, list):
        return 2 + sum(2 + written_out(item, definitions) for item in node)
    return len(json.dumps(node))


class TestSchema:
    def valid(self, text: str) -> bool:
        return bool(jsonschema.Draft202012Validator(schema()).is_valid(yaml.safe_load(text)))

    def test_it_is_a_schema_itself(self) -> None:
        jsonschema.Draft202012Validator.check_schema(schema())

    @pytest.mark.filterwarnings(OF_DNSAM)
    @pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
    def test_configs_that_load_are_valid(self, path: Path) -> None:
        load_config(path)
        assert self.valid(path.read_text())

    @pytest.mark.parametrize(
        "text",
        [
            "extends: a.yaml",
            "optimizer: {lr: 0.1}",
            "data: none",
            "optimizer: {name: sam, rho: {theory: 1}, lr: 1}",
            "record: {every: {log: 5}, trackers: [loss, {name: test_error, n_points: 64}]}",
            "optimizer: {name: 'my_rules.py:MySAM', lr: 1, tilt: 2, lr_schedule: {name: cosine, steps: 5}}",
            "optimizer: {name: sam, rho: 1, base: 'lab.rules:Base', rate: 2}",
            "optimizer: {name: sgd, lr: 1, lr_schedule: constant}",
            "record: {trackers: [loss, 'mine.py:Tracker', {name: 'mine.py:Other', often: true}]}",
            "optimizer: {name: sam, rho: 1, momentum: 0.9}",
            "optimizer: {name: sam, rho: 1, base: adam, beta1: 0.9, lr_schedule: {name: step, every: 5}}",
            "optimizer: {base: sgd, rho_schedule: lr}",
            "optimizer: {name: sam, rho: {theory: {formula: dim}}, lr: {formula: 1 / dim}}",
            "train: {n_steps: {formula: dim}, batch_size: {formula: 'n_samples / 2'}}",
            "record: {every: [1, {formula: n_steps}]}",
            "optimizer: {name: sgd, lr: 1, lr_schedule: {name: cosine, steps: {formula: n_steps}}}",
            "sweep: {optimizer.tilt: [1, 2], optimizer.lr_schedule.steps: [3, 4]}",
            "sweep: {optimizer.rho.theory: {geomspace: [1, 2, 3]}, zip: [{seed: [1]}], data.dim: null}",
        ],
    )
    def test_valid_files(self, text: str) -> None:
        assert self.valid(text)

    @pytest.mark.parametrize(
        "text",
        [
            "sed: 1",
            "seed: -1",
            "data: nonne",
            "data: {dim: big}",
            "data: {n_sample: 20}",
            "data: {flip_prob: 0.5}",
            "optimizer: {name: smm}",
            "optimizer: {name: sgd, lr: 1, rho: 1}",
            "optimizer: {name: sam, rho: {theory: -1}}",
            "optimizer: {name: sam, rho: 1, base: adam, momentum: 0.9}",
            "optimizer: {name: sam, rho: 1, beta1: 0.9}",
            "optimizer: {name: sam, rho: 1, k: 3}",
            "optimizer: {name: sam, rho: 1, base: usam}",
            "optimizer: {name: sgd, lr: 1, base: adam}",
            "optimizer: {name: sgd, lr: 1, lr_schedule: cosin}",
            "optimizer: {name: sgd, lr: 1, lr_schedule: {name: cosine, step: 5}}",
            "optimizer: {name: sgd, lr: {formula: 3}}",
            "optimizer: {name: sgd, lr: {formula: '3', theory: 1}}",
            "optimizer: {name: {formula: '3'}}",
            "record: {trackers: [los]}",
            "record: {every: {log: 0}}",
            "sweep: {data.dmi: [1]}",
            "sweep: {data.dim: []}",
            "sweep: {data.dim: {linspce: [1, 2, 3]}}",
        ],
    )
    def test_invalid_files(self, text: str) -> None:
        assert not self.valid(text)

    def test_meanings_and_defaults_come_from_the_classes(self) -> None:
        whole: Any = schema()

        def resolved(value: Any) -> Any:
            name = value.get("$ref", "").removeprefix("#/$defs/")
            return {**resolved(whole["$defs"][name]), **value} if name else value

        def parameter(rule: str, name: str) -> Any:
            return resolved(resolved(whole["$defs"][f"optimizer.{rule}"])["properties"][name])

        assert parameter("sam", "rho")["description"].startswith("radius of the perturbation")
        momentum = parameter("sgd", "momentum")
        del momentum["$ref"]
        assert momentum == {
            "anyOf": [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, {"$ref": "#/$defs/formula"}],
            "default": 0.0,
            "description": "share of the buffer kept at each step.",
        }
        trackers = resolved(resolved(whole["properties"]["record"])["properties"]["trackers"])
        assert trackers["default"] == ["loss", "decomposition", "test_error"]

    def test_shared_definitions_are_written_once(self) -> None:
        """A fifth of the size with all references resolved, or less; all definitions are used, all uses defined."""
        text = json.dumps(schema())
        assert len(text) < 0.2 * written_out(schema(), schema()["$defs"])
        used = {*re.findall(r'"#/\$defs/([^"]+)"', text)}
        assert used == {*schema()["$defs"]} and not [name for name in used if not re.fullmatch(r"[\w.]+", name)]
