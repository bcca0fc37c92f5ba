# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Measuring: paired timings, memory of a process's own, tables on screen and on disk."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
from monai.bundle import ConfigParser

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import measure  # noqa: E402
from custom.errors import InputError  # noqa: E402


def test_runs_take_turns_and_each_round_starts_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    order = []
    clock = iter(range(100))
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    seconds = measure.timed_in_turn({name: (lambda name=name: order.append(name)) for name in "abc"}, 3)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"  # the first round warms up
    assert seconds == {name: [1, 1, 1] for name in "abc"}


def test_ratio_is_of_pairs_and_not_of_medians() -> None:
    # A machine at half its speed in the last two rounds: within a round, one run always takes twice as long.
    assert measure.paired_ratio([2.0, 4.0, 4.0], [1.0, 2.0, 2.0]) == 2
    assert measure.paired_ratio([1.0, 9.0, 2.0], [1.0, 1.0, 2.0]) == 1


def test_peak_is_the_new_processs_own() -> None:
    """It is not handed down: `ru_maxrss` of a child is at least its parent's."""
    held = np.ones(200 * 2**17)  # 200 MiB, touched
    assert 0 < measure.in_fresh_process(measure.peak_mib, device="cpu") < measure.peak_mib("cpu") - 100
    assert held[-1] == 1


def test_one_axis_varies_at_a_time() -> None:
    rows = measure.one_at_a_time({"slices": (3, 6), "phases": (16, 4, 32)})
    assert [(row["slices"], row["phases"]) for row in rows] == [(3, 16), (6, 16), (3, 4), (3, 32)]


def test_table_shows_its_columns_and_saves_everything(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    table = measure.Table({"name": "method", "seconds": "s"})
    table.add({"name": "linear", "seconds": 0.00012345, "size": "32x32"})
    table.add({"name": "CaLID", "seconds": 123.456, "weights": "random"})
    assert table.markdown == "| method | s |\n|---|---|\n| linear | 0.000123 |\n| CaLID | 123 |\n"
    assert capsys.readouterr().out == table.markdown
    table.write_csv(tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert float(first["seconds"]) == 0.00012345 and first["size"] == "32x32"
    assert second["weights"] == "random" and second["size"] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_config_takes_overrides_and_refuses_unknown_ids(tmp_path: Path) -> None:
    config = tmp_path / "inference.json"
    ConfigParser.export_config_file({"steps": 8, "network": {"channels": [4, 8], "steps": "@steps"}}, str(config))
    parser = measure.read_config(config, {"steps": 2, "network#channels": [2]})
    assert parser.get_parsed_content("network") == {"channels": [2], "steps": 2}
    with pytest.raises(InputError, match="has no stepz"):
        measure.read_config(config, {"stepz": 2})
    with pytest.raises(InputError, match="is not there"):
        measure.read_config(tmp_path / "absent.json", {})
