# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Packages of two small bundles; what users do with all of them is `tests/integration/test_packages.py`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from custom.errors import InputError
from custom.packaging.__main__ import main
from custom.packaging.pack import pack_bundle
from custom.paths import bundle_root

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = json.loads((Path(bundle_root("motion")) / "configs" / "metadata.json").read_text())["version"]
#: Run before anything else: forgets the repository, which is installed here, editable.
FORGET = f"""
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder)]
sys.path = [entry for entry in sys.path if entry and {str(REPOSITORY)!r} not in (entry, entry.rstrip("/"))]
sys.path_hooks = [hook for hook in sys.path_hooks if "editable" not in str(hook)]
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    return {name: pack_bundle(bundle_root(name), folder) for name in ("motion", "flavr_oct")}


@pytest.fixture
def bundle(tmp_path):
    """A copy of a bundle beside the others, to be spoilt."""
    for name in ("motion", "calid"):
        shutil.copytree(bundle_root(name), tmp_path / "bundles" / name, ignore=shutil.ignore_patterns("custom"))
    shutil.copytree(REPOSITORY / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("figures"))
    return tmp_path / "bundles" / "motion"


def run(code, cwd):
    return subprocess.run([sys.executable, "-c", FORGET + code], cwd=cwd, capture_output=True, text=True, timeout=600)


def test_the_same_bytes_twice(package, tmp_path):
    again = pack_bundle(bundle_root("motion"), tmp_path / "new")
    assert again.name == f"motion_v{VERSION}.zip" and again.read_bytes() == package["motion"].read_bytes()


def test_a_package_holds_the_bundle_and_the_code_that_it_needs(package):
    names = zipfile.ZipFile(package["motion"]).namelist()
    assert {name.partition("/")[0] for name in names} == {"motion"} and names == sorted(names)
    inside = {name.removeprefix("motion/") for name in names}
    code = {name for name in inside if name.startswith("custom/")}
    configs = {f"configs/{path.name}" for path in (Path(bundle_root("motion")) / "configs").iterdir()}
    pages = {
        f"docs/{name}"
        for name in ("README.md", "data_license.txt", "comparison.md", "scanned_hearts.md", "uncertainty.md")
    }
    assert inside - code == configs | pages | {"LICENSE", "models/model.pt", "docs/motion_network.csv"}
    # What inference names, what that imports, what only a function imports; not what other bundles need.
    assert code > {f"custom/{name}.py" for name in ("interpolators/motion", "networks/motion", "networks/feature_flow")}
    assert not code & {f"custom/{name}.py" for name in ("interpolators/calid", "networks/flavr", "packaging/pack")}
    # Exports go straight into inference, so what reads them is inside; what writes pages, series and packages is not.
    assert "custom/importers/prepared.py" in code and not any(name.endswith("__init__.py") for name in code)
    assert not any(name.startswith(("custom/densify/", "custom/exporters/", "custom/packaging/")) for name in code)


def test_links_of_a_packed_page_lead_somewhere(package):
    for name, path in package.items():
        archive = zipfile.ZipFile(path)
        for page in (entry for entry in archive.namelist() if entry.endswith(".md")):
            text = archive.read(page).decode()
            targets = re.findall(r"\]\(([^)#\s]+)", text)
            for target in (target for target in targets if not re.match("[a-z]+:", target)):
                assert f"{name}/docs/{target}" in archive.namelist(), f"{page}: {target}"
        readme = archive.read(f"{name}/docs/README.md").decode()
        assert f"bundles/{name}/" not in readme and "configs/inference.json" in readme
        assert "(comparison.md)" in readme


def test_two_bundles_and_a_second_copy_of_one_load_their_own_weights(package, tmp_path):
    """In one process, though Python imports the code of the first only."""
    for folder, name in (("a", "motion"), ("b", "flavr_oct"), ("c", "motion")):
        zipfile.ZipFile(package[name]).extractall(tmp_path / folder)
    code = """
import monai.bundle, torch, sys
from pathlib import Path
here = Path.cwd()
weights = here / "c" / "motion" / "models" / "model.pt"
torch.save({key: value * 0 for key, value in torch.load(weights, weights_only=True).items()}, weights)
for folder, name in (("a", "motion"), ("b", "flavr_oct"), ("c", "motion")):
    network = monai.bundle.load(name, bundle_dir=here / folder, device="cpu")
    config = here / folder / name / "configs" / "inference.json"
    flow = monai.bundle.ConfigWorkflow(str(config), workflow_type="infer", logging_file=False)
    flow.initialize()
    flow.evaluator._prepare_network()
    total = sum(float(p.abs().sum()) for p in flow.network_def.parameters())
    assert total == sum(float(p.abs().sum()) for p in network.parameters())
    assert Path(flow.bundle_root) == here / folder / name == Path(flow.evaluator.made_by and flow.evaluator.bundle_root)
    code = Path(sys.modules["custom.geometry"].__file__).relative_to(here)
    print(folder, type(network).__name__, total > 0, code.parts[0])
"""
    done = run(code, tmp_path)
    said = [line for line in done.stdout.splitlines() if line[:2] in ("a ", "b ", "c ")]
    assert said == ["a MotionInterpolator True a", "b DirectInterpolator True a", "c MotionInterpolator False a"], done
    # Of another version, it says so.
    changed = tmp_path / "b" / "flavr_oct" / "custom" / "geometry.py"
    changed.write_text(changed.read_text() + "\n")
    done = run(code, tmp_path)
    assert done.returncode == 2 and "is not the code that this process has from" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("file", "spoil", "fault"),
    [
        ("LICENSE", None, "is missing"),
        (
            "configs/train.json",
            ("custom.training.motion_task", "custom.training.no_task"),
            "names custom.training.no_task",
        ),
        (
            "configs/metadata.json",
            (f'"version": "{VERSION}"', '"version": "99.0.0"'),
            "version 99.0.0 has no entry in changelog",
        ),
        ("configs/metadata.json", ('"nibabel": "5.4.2",', ""), "required_packages_version lacks nibabel"),
        ("configs/inference.json", ('"seed": 0', '"seed": "/home/me/seed"'), "holds a path of one machine"),
        ("docs/README.md", ("comparison.md)", "comparisons.md)"), "links to ../../../docs/comparisons.md"),
    ],
)
def test_what_is_not_ready_for_the_zoo_is_told_and_not_packed(file, spoil, fault, bundle, tmp_path):
    path = bundle / file
    if spoil is None:
        path.unlink()
    else:
        assert spoil[0] in path.read_text()
        path.write_text(path.read_text().replace(*spoil))
    with pytest.raises(InputError, match=re.escape(fault)):
        pack_bundle(bundle, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_the_command_does_the_others_and_says_what_failed(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["no_such", "motion"], output_dir=str(tmp_path))
    said = capsys.readouterr().out.splitlines()
    assert stop.value.code == 1 and [path.name for path in tmp_path.iterdir()] == [f"motion_v{VERSION}.zip"]
    assert "no_such: is no bundle; choose from calid," in said[0] and "sha1" in said[1]


def test_every_bundle_is_ready(tmp_path):
    """Its parts are found, its packages are named, its links lead somewhere; the zip itself is not written."""
    from custom.packaging.checks import check_bundle
    from custom.packaging.code import needed_modules
    from custom.packaging.pages import packed_pages

    for bundle in sorted(path.parent for path in (REPOSITORY / "bundles").glob("*/configs")):
        metadata = check_bundle(bundle, needed_modules(sorted((bundle / "configs").glob("*.json"))))
        assert json.loads((bundle / "configs" / "metadata.json").read_text()) == metadata
        assert b"](../" not in packed_pages(bundle)["docs/README.md"]
