# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""What an ordinary `pip install .` brings: the bundles with configs and weights, the page's template, the command."""

from __future__ import annotations

import fnmatch
import importlib
import tomllib
from pathlib import Path

import pytest

setuptools = pytest.importorskip("setuptools", reason="setuptools builds the package, and is not in this environment")

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FIND = PROJECT["tool"]["setuptools"]["packages"]["find"]
PATTERNS = PROJECT["tool"]["setuptools"]["package-data"]["*"]


@pytest.fixture(scope="module")
def installed():
    """Files that a wheel holds, relative to the repository, as `setuptools` finds packages and their data."""
    found = set()
    for package in setuptools.find_namespace_packages(str(ROOT), include=FIND["include"], exclude=FIND["exclude"]):
        folder = ROOT / package.replace(".", "/")
        names = [path.name for path in folder.iterdir() if path.is_file()]
        kept = [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in ["*.py", *PATTERNS])]
        found |= {f"{package.replace('.', '/')}/{name}" for name in kept}
    return found


def test_every_bundle_comes_with_its_configs_and_weights(installed):
    for folder in sorted((ROOT / "bundles").iterdir()):
        if not (folder / "configs").is_dir():
            continue
        wanted = {f"bundles/{folder.name}/configs/{path.name}" for path in (folder / "configs").iterdir()}
        wanted |= {f"bundles/{folder.name}/{name}" for name in ("LICENSE", "docs/README.md")}
        if (folder / "models/model.pt").exists():
            wanted.add(f"bundles/{folder.name}/models/model.pt")
        assert wanted <= installed, folder.name


def test_the_package_comes_once_and_with_what_it_reads(installed):
    assert not [name for name in installed if name.startswith("bundles/") and "/custom" in name]
    tracked = {path.relative_to(ROOT).as_posix() for path in (ROOT / "custom").rglob("*") if path.is_file()}
    assert {name for name in tracked if name.endswith((".py", ".json", ".html", ".js"))} <= installed


def test_the_command_is_there():
    module, _, name = PROJECT["project"]["scripts"]["cardiac-slices"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
