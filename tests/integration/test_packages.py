# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Every package in an environment that holds nothing but what it asks for: `make test-bundles`.

Not part of `make test`: the environment alone takes minutes. `TEST_BUNDLES` says which: "all", or names with commas;
`TEST_BUNDLES_PYTHON` an interpreter of an environment that is there already.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from custom.packaging.pack import pack_bundle

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "bundles"
ALL = sorted(path.name for path in FOLDER.iterdir() if (path / "configs").is_dir())
COMMANDED = ("motion", "cardiointerp")
"""Those that are also asked from the command line, one of each modality: a process more costs its start."""
ASKED = os.environ.get("TEST_BUNDLES", "")
pytestmark = pytest.mark.skipif(not ASKED, reason="takes minutes: make test-bundles")


def command(*words, cwd, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**kept, "OMP_NUM_THREADS": "1", **variables}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """Packs a bundle by name; all into one folder, each once."""
    folder = tmp_path_factory.mktemp("dist")
    return functools.cache(lambda name: pack_bundle(FOLDER / name, folder))


@pytest.fixture(scope="session")
def clean_python(tmp_path_factory):
    """An environment with what the bundles' metadata names, jsonschema for the schema, and nothing else."""
    if os.environ.get("TEST_BUNDLES_PYTHON"):
        return os.environ["TEST_BUNDLES_PYTHON"]
    wanted = {"jsonschema"}
    for name in ALL:
        metadata = json.loads((FOLDER / name / "configs" / "metadata.json").read_text())
        wanted |= {f"{package}=={version}" for package, version in metadata["required_packages_version"].items()}
        wanted |= {f"monai=={metadata['monai_version']}", f"numpy=={metadata['numpy_version']}"}
        torch = f"torch=={metadata['pytorch_version']}"
    folder = tmp_path_factory.mktemp("environment")
    command(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / "bin" / "python"
    for group in ([torch], sorted(wanted)):  # torch alone first, as in the Makefile
        command(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *group, cwd=folder)
    return python


@pytest.mark.parametrize("name", ALL)
def test_a_package_does_all_that_the_zoo_and_its_users_ask(name, packages, clean_python, tmp_path):
    if ASKED != "all" and name not in ASKED.split(","):
        pytest.skip("not asked for")
    if name == "dmcvr":
        packages("medformer_sax")  # its training builds on it
    said = command(clean_python, HERE / "zoo_check.py", packages(name), HERE / "metadata_schema.json", cwd=tmp_path)
    print("\n".join(line for line in said.splitlines() if line.endswith(": OK")))
    assert said.count(": OK") == 8
    if name not in COMMANDED:
        return
    # And from the command line, in a folder that is neither the bundle's nor above it.
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    options = ["--dataset_dir", tmp_path / "in", "--output_dir", tmp_path / "out2", "--device", "cpu"]
    known = json.loads((FOLDER / name / "configs" / "inference.json").read_text())
    for option, value in {"factor": 2, "num_inference_steps": 1}.items():
        options += [f"--{option}", value] if option in known else []
    config = tmp_path / name / "configs" / "inference.json"
    command(clean_python, "-m", "monai.bundle", "run", "--config_file", config, *options, cwd=elsewhere)
    first, again = (next((tmp_path / out).glob("scan_*.nii.gz")) for out in ("out", "out2"))
    assert first.read_bytes() == again.read_bytes()
