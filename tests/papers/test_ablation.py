# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The ablation builds commands that the bundle understands, keeps finished rows and tabulates them."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.bundle.scripts import update_kwargs

from custom.command_line import check_options
from custom.errors import InputError
from custom.papers import ablation
from custom.papers.ablation_rows import ABLATIONS
from custom.papers.values import CARDIOINTERP_TABLE_2
from custom.paths import bundle_root

OCT, CMR, MOTION = ABLATIONS["cardiointerp"], ABLATIONS["calid"], ABLATIONS["motion"]
RUNS = [(variants, budget) for variants in ABLATIONS.values() for budget in variants.budgets]


def flags(command):
    """--name value pairs of a bundle command."""
    return dict(zip([word[2:] for word in command[4::2]], command[5::2], strict=True))


@pytest.fixture
def bundle_runs(monkeypatch):
    """Stands for `monai.bundle run`: notes the commands, writes what the evaluation would write."""
    runs = []

    def run(command, **_):
        runs.append(command)
        place = Path(flags(command)["output_dir"])
        place.mkdir(parents=True, exist_ok=True)
        if place.name == "evaluation":
            psnr = {
                "plain": 20.0,
                "p3d": 20.5,
                "addition": 21.0,
                "fusion": 21.25,
                "motion_prior": 22.5,
                "motion": 23.0,
            }[place.parent.name]
            with open(place / "summary.csv", "w", newline="") as file:
                fields = ("method", "factor", "patients", "images")
                fields += ("psnr", "psnr_low", "psnr_high", "ssim", "ssim_low", "ssim_high")
                writer = csv.writer(file)
                writer.writerow(fields)
                writer.writerow(("CardioInterp", 6, 1, 10, psnr, "single patient", "single patient", 0.5, 0.4, 0.6))
                writer.writerow(("Autoencoder", 6, 1, 10, 30.0, 29.0, 31.0, 0.9, 0.8, 0.95))
                writer.writerow(("Linear", 6, 1, 10, 22.0, 21.5, 22.5, 0.55, 0.5, 0.6))
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(subprocess, "run", run)
    return runs


@pytest.mark.parametrize(("variants", "budget"), RUNS, ids=[f"{v.bundle}-{budget}" for v, budget in RUNS])
def test_the_configs_have_every_option_of_the_commands(variants, budget, tmp_path):
    options = {**variants.budgets[budget], "dataset_dir": "data"}
    for row in variants.rows:
        training, evaluation = map(flags, ablation.commands(variants, row, tmp_path, options))
        assert set(training) == {"config_file", "output_dir", "ckpt_dir", *row.options, *options}
        own = {"config_file", "output_dir", "checkpoint", *variants.evaluation}
        assert set(evaluation) == own | {*row.options, *options}
        assert evaluation["config_file"].count(".json") == 2 and training["config_file"].endswith("train.json")
        for command in ablation.commands(variants, row, tmp_path, options):
            check_options(["monai.bundle", *command[3:]])
        for config, given in ((ablation.TRAIN, training), (ablation.EVALUATE, evaluation)):
            parser = ConfigParser()
            parser.read_config([Path(bundle_root(variants.bundle)) / "configs" / name for name in config])
            names = {name.removesuffix("#_disabled_") for name in given} - {"config_file"}
            assert {name for name in names if name not in parser and not name.startswith("network_def#")} == set()


def parsed(variants, row, options):
    """`train.json` with a row's options, as MONAI takes them: by Fire, and without those that are None."""
    parser = ConfigParser()
    parser.read_config(Path(bundle_root(variants.bundle)) / "configs" / "train.json")
    typed = flags(ablation.commands(variants, row, Path("out"), options)[0])
    parser.update(update_kwargs(None, **{name: DefaultParseValue(typed[name]) for name in (*row.options, *options)}))
    return parser


@pytest.mark.parametrize("variants", [OCT, CMR], ids=["cardiointerp", "calid"])
def test_every_command_makes_the_network_of_its_row(variants):
    made = set()
    for row in variants.rows:
        network = parsed(variants, row, {}).get_parsed_content("network_def")
        wanted = row.options["network_def#autoencoder#motion"]
        assert (network.motion is None) == (wanted is None), row.name
        made.add((network.autoencoder.knows_ends, network.motion is None, network.denoiser.prior, network.realism))
    assert len(made) == {"cardiointerp": 3, "calid": 4}[variants.bundle]


def test_rows_of_the_motion_network_train_on_what_they_say(tmp_path):
    entries = [
        {"image": f"{source}/{k}.nii.gz", "patient": f"{source}{k}"} for source in MOTION.sources for k in (1, 2)
    ]
    for entry in entries:
        (tmp_path / entry["image"]).parent.mkdir(exist_ok=True)
        (tmp_path / entry["image"]).touch()
    (tmp_path / "datalist.json").write_text(json.dumps({"training": entries}))
    sources, left_out = {}, {}
    for row in MOTION.rows:
        parser = parsed(MOTION, row, {"dataset_dir": str(tmp_path)})
        data = parser.get_parsed_content("train#dataset#data")
        sources[row.folder] = {Path(item["image"]).parent.name for item in data}
        assert len(data) == 2 * len(sources[row.folder])
        kinds = {type(change).__name__ for change in parser.get_parsed_content("train#preprocessing").transforms}
        left_out[row.name.removeprefix("all, without ")] = kinds
    assert sources["all"] == set(MOTION.sources) and sources["real"] == {"real", "cine"}
    assert (sources["drawn"], sources["scanned"], sources["simulated"]) == (
        {"phantom"},
        {"hearts"},
        {"phantom", "hearts"},
    )
    whole = left_out[MOTION.rows[0].name]
    gone = {"flips": "Flip", "quarter turns": "Rotate90", "reversed order": "ReverseSlices", "affine maps": "Affine"}
    gone |= {"bias field": "BiasField", "gamma": "AdjustContrast", "gain": "ScaleIntensity"}
    assert {name: whole - kinds for name, kinds in left_out.items() if whole - kinds} == {
        name: {f"Rand{kind}d"} for name, kind in gone.items()
    }
    four = parsed(MOTION, next(row for row in MOTION.rows if row.folder == "four"), {})
    assert four.get_parsed_content("network_def").num_neighbours == 4
    assert four.get_parsed_content("train#dataset#outer") is True


def test_kinds_of_stacks_must_be_there(tmp_path):
    with pytest.raises(InputError, match="--data"):
        ablation.run(str(tmp_path / "out"), bundle="motion")
    (tmp_path / "datalist.json").write_text('{"training": []}')
    with pytest.raises(InputError, match="no training stacks of cine, hearts, phantom, real"):
        ablation.run(str(tmp_path / "out"), str(tmp_path), bundle="motion")
    assert not (tmp_path / "out").exists()


def test_rows_differ_in_the_decoder_and_in_their_folders_only(tmp_path):
    pairs = [flags(ablation.commands(OCT, row, tmp_path, {})[0]) for row in OCT.rows]
    decoders = [(p["network_def#autoencoder#temporal"], p["network_def#autoencoder#fusion"]) for p in pairs]
    assert decoders[:4] == [("none", "none"), ("shift", "none"), ("shift", "addition"), ("shift", "flow")]
    assert decoders[4:] == [("shift", "flow"), ("shift", "motion")]
    assert [p["network_def#autoencoder#motion"] for p in pairs] == ["$None"] * 4 + ["{}"] * 2
    assert len({p["ckpt_dir"] for p in pairs}) == len({p["output_dir"] for p in pairs}) == 6
    evaluation = flags(ablation.commands(OCT, OCT.rows[3], tmp_path, {})[1])
    assert json.loads(evaluation["factors"]) == [6]
    assert evaluation["checkpoint"] == pairs[3]["ckpt_dir"] + "/model.pt"
    assert [row.name for row in OCT.rows[:4]] == list(CARDIOINTERP_TABLE_2)


def test_the_table_has_our_numbers_beside_the_papers_and_linear_last(tmp_path, bundle_runs):
    ablation.run(str(tmp_path), budget="demo")
    assert len(bundle_runs) == 12
    with open(tmp_path / "ablation.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["psnr"]) for line in lines] == [20.0, 20.5, 21.0, 21.25, 22.5, 23.0, 22.0]
    assert lines[0]["psnr_interval"] == "single patient" and lines[0]["ssim_percent_interval"] == "40.00 to 60.00"
    assert lines[3]["paper_psnr"] == "28.59" and lines[4]["paper_psnr"] == lines[6]["paper_psnr"] == ""
    text = (tmp_path / "ablation.md").read_text()
    assert "| + dual-path fusion | 21.25 | single patient | 50.00 | 40.00 to 60.00 | 30.00 | 28.59 | 51.80 |" in text


def test_finished_rows_are_kept(tmp_path, bundle_runs):
    ablation.run(str(tmp_path), budget="demo")
    bundle_runs.clear()
    (tmp_path / "addition" / "evaluation" / "summary.csv").unlink()
    ablation.run(str(tmp_path), budget="demo")
    assert len(bundle_runs) == 2 and all("/addition/" in flags(command)["output_dir"] for command in bundle_runs)


def test_rows_of_different_options_do_not_mix(tmp_path, bundle_runs):
    ablation.run(str(tmp_path), budget="demo")
    with pytest.raises(InputError, match="other options"):
        ablation.run(str(tmp_path), budget="demo", seed=1)
    with pytest.raises(InputError, match="no budget 'huge'"):
        ablation.run(str(tmp_path), budget="huge")
    with pytest.raises(InputError, match="no variants of 'diffae'"):
        ablation.run(str(tmp_path), budget="demo", bundle="diffae")
    with pytest.raises(InputError, match="no option 'crop_sise'"):
        ablation.run(str(tmp_path), budget="demo", crop_sise=[64, 64])


def test_a_failed_row_stops_with_the_row_named(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: SimpleNamespace(returncode=3))
    with pytest.raises(SystemExit, match="plain decoder: failed with exit code 3"):
        ablation.run(str(tmp_path), budget="demo")
    assert json.loads((tmp_path / "options.json").read_text())["epoch_length"] == 4
