# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The first hour of a new user: README followed in a fresh clone, on a real cine and a real pullback.

    python benchmarks/first_hour.py --cine FOLDER --pullback FOLDER --work FOLDER [--page docs/first_hour.md]

FOLDER of the cine is a DICOM export, that of the pullback an export of frames. `--work` gets the clone, its virtual
environment and all outputs; a second run takes a new clone, and the environment again if its requirements are the same.
The page holds every command, what it printed, its times, and the hashes of the shipped weights before and after.
Exit code 1: a command failed, or a weight file is not what it was.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import fire

REPOSITORY = Path(__file__).parents[1]
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt", "pyproject.toml")
NOTE = "first_hour.txt"
"""In an environment that this script made: the hash of what it was made of."""
HEAD, TAIL = 7, 4
"""Lines of a command that the page shows; of more, how many there were."""
CONFIG = "python -m monai.bundle run --config_file bundles/{}/configs/{}.json"
TRAINING = "--phantom_patients 4 --phantom#num_phases 1 --epoch_length 5 --autoencoder_epochs 1 --denoiser_epochs 1"
PASSED_OVER = re.compile(
    r"^\s*$|UserWarning: parsing config_file|workflow = create_workflow|Setting logging properties"
    r"|input summary of monai|- INFO - (> |---)|^Updating files|WARNING: Location 'file:"
)
"""What MONAI itself says at each start, git's progress, and pip about a machine's own package index."""


class Done(NamedTuple):
    """A command that ran.

    Attributes:
        command: as a user types it.
        lines: what it printed, the last state of each bar.
        wall: seconds.
        processor: seconds, of all its processes.
    """

    command: str
    lines: list[str]
    wall: float = 0.0
    processor: float = 0.0


STEPS = (
    (
        "A DICOM export of a cine, in one command",
        ("python -m custom densify CINE_EXPORT out --dry_run", "python -m custom densify CINE_EXPORT out"),
    ),
    (
        "The same cine by the MONAI commands",
        (
            "python data_scripts/prepare_cmr.py --input CINE_EXPORT --output_dir stacks/ --size 0 --spacing 0",
            f"{CONFIG.format('motion', 'inference')} --dataset_dir stacks/ --output_dir dense/ --factor 4",
            "python -m custom.pictures.stack --volume dense/CINE_interp.nii.gz --picture cine.png --movie cine.gif",
        ),
    ),
    ("An OCT export, in one command", ("python -m custom densify PULLBACK_EXPORT out",)),
    (
        "The same pullback by the MONAI commands",
        (
            "python data_scripts/prepare_oct.py --input PULLBACK_EXPORT --output_dir prepared/",
            f"{CONFIG.format('motion_oct', 'inference')} --dataset_dir prepared/ --output_dir dense_oct/ --factor 6",
            "python -m custom.pictures.pullback --volume dense_oct/PULLBACK_interp.nii.gz --picture oct.png"
            " --movie oct.gif",
        ),
    ),
    ("A short training with the defaults", (f"{CONFIG.format('calid', 'train')} {TRAINING}",)),
)


def first_hour(cine: str, pullback: str, work: str, page: str | None = None) -> None:
    """Follow README, and write the page.

    Args:
        cine: DICOM export of a cine.
        pullback: export of the frames of a pullback.
        work: folder for the clone, the environment and the outputs.
        page: Markdown file to write; none, and it is printed.
    """
    folder = Path(work).absolute()
    clone, given = folder / "slices", {"CINE_EXPORT": cine, "PULLBACK_EXPORT": pullback}
    places = {name: str(Path(path).absolute()) for name, path in given.items()}
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "environment"
    if (clone / ".venv" / NOTE).is_file():
        (clone / ".venv").rename(kept)
    shutil.rmtree(clone, ignore_errors=True)
    parts = [_opening(REPOSITORY)]
    parts += _section("Clone and set-up", [run("git clone REPOSITORY slices", folder, {"REPOSITORY": str(REPOSITORY)})])
    parts += _section(None, [_environment(clone, kept)])
    before = hashes(clone)
    for title, commands in STEPS:
        done = []
        for command in commands:
            done.append(run(command, clone, places))
            print(f"{done[-1].processor:6.1f} s  {command}", file=sys.stderr, flush=True)
        parts += _section(title, done)
    after = hashes(clone)
    text = "\n".join([*parts, *_weights(before, after)]) + "\n"
    Path(page).write_text(text) if page else print(text)
    if before != after:
        sys.exit("a training changed the weights that ship")


def run(command: str, folder: Path, places: dict[str, str]) -> Done:
    """Run one command in the clone's environment; exits if it fails.

    Args:
        command: with placeholders.
        folder: to run in.
        places: paths by placeholder. CINE and PULLBACK stand for the one file that such a name fits.
    """
    words = command
    for name, path in places.items():
        words = words.replace(name, path)
    for name in re.findall(r"(\S+/)(?:CINE|PULLBACK)_interp", words):
        (found,) = (folder / name).glob("*_interp.nii.gz")
        words = re.sub(r"(?:CINE|PULLBACK)_interp\.nii\.gz", found.name, words)
    environment = {**os.environ, "VIRTUAL_ENV": str(folder / ".venv")}
    environment["PATH"] = f"{folder / '.venv' / 'bin'}{os.pathsep}{environment['PATH']}"
    started, used = time.perf_counter(), _processor()
    result = subprocess.run(
        words, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    done = Done(command, _cleaned(result.stdout, folder, places), time.perf_counter() - started, _processor() - used)
    if result.returncode:
        sys.exit(f"{command}\nended with {result.returncode}:\n" + "\n".join(done.lines[-20:]))
    return done


def hashes(clone: Path) -> dict[str, str]:
    """SHA-256 of the weights that ship, by path."""
    paths = sorted(clone.glob("bundles/*/models/model.pt"))
    return {path.relative_to(clone).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _environment(clone: Path, kept: Path) -> Done:
    """`make setup`; where there is an environment of the same requirements, it is moved in."""
    wanted = hashlib.sha256(b"".join((clone / name).read_bytes() for name in REQUIREMENTS)).hexdigest()
    note = kept / NOTE
    if note.is_file() and note.read_text() == wanted:
        kept.rename(clone / ".venv")
        return Done("make setup", ["(left out: an environment of the same requirements was there)"])
    shutil.rmtree(kept, ignore_errors=True)
    done = run("make setup", clone, {})
    (clone / ".venv" / NOTE).write_text(wanted)
    return done


def _processor() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _cleaned(text: str, folder: Path, places: dict[str, str]) -> list[str]:
    """Lines as a terminal shows them in the end, without MONAI's own opening and with placeholders for paths."""
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    lines = [line for line in lines if not PASSED_OVER.search(line)]
    named = {path: name for name, path in places.items()} | {f"{folder}/": "", str(folder.parent): "WORK"}
    for path, name in named.items():
        lines = [line.replace(path, name) for line in lines]
    return lines


def _opening(repository: Path) -> str:
    commit = subprocess.run(["git", "log", "-1", "--format=%h, %cs"], cwd=repository, capture_output=True, text=True)
    facts = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", facts.read_text()) if facts.is_file() else None
    processor = model[1] if model else platform.processor()
    threads = f"{os.environ.get('OMP_NUM_THREADS', 'as many as cores')}, Python {platform.python_version()}"
    return f"""# The first hour

README followed from `git clone` to a densified cine and a densified pullback, both real (Sunnybrook Cardiac Data
`SCD0000301`, 200 DICOM files; 8 exported frames of an intracoronary OCT pullback), then a training with the defaults.
Commands, what they printed, and hashes; written by

```bash
python benchmarks/first_hour.py --cine CINE_EXPORT --pullback PULLBACK_EXPORT --work WORK --page docs/first_hour.md
```

at commit {commit.stdout.strip()}. Machine: {os.cpu_count()} cores of {processor}, no GPU,
with about {os.getloadavg()[0]:.0f} other processes at work on it; threads: {threads}.
So the seconds to look at are the processor's: by the clock, a quiet machine takes as many or fewer. Of bars the last
state is shown, of long outputs the beginning and the end; what MONAI says at each start (a warning that configs are
code, the options that were given) is left out."""


def _section(title: str | None, done: list[Done]) -> list[str]:
    parts = [f"\n## {title}\n"] if title else [""]
    for one in done:
        cut = len(one.lines) > HEAD + TAIL + 1
        lines = [*one.lines[:HEAD], f"… ({len(one.lines) - HEAD - TAIL} more lines)", *one.lines[-TAIL:]]
        shown = [line if len(line) <= 220 else f"{line[:215]} …" for line in (lines if cut else one.lines)]
        times = [f"{one.processor:.0f} s of processor time, {one.wall:.0f} s by the clock.", ""] if one.wall else []
        parts += ["```console", f"$ {one.command}", *shown, "```", "", *times]
    return parts[:-1]


def _weights(before: dict[str, str], after: dict[str, str]) -> list[str]:
    verdict = "none changed" if before == after else "**some changed**"
    told = {
        path: "the same" if after.get(path) == digest else after.get(path, "gone") for path, digest in before.items()
    }
    rows = [f"| `{path}` | `{digest}` | {told[path]} |" for path, digest in before.items()]
    head = f"\n## The weights that ship\n\nBefore and after all of this: {verdict}.\n"
    return [head, "| file | SHA-256 before | after |", "| --- | --- | --- |", *rows]


if __name__ == "__main__":
    fire.Fire(first_hour)
