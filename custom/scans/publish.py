# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Volumes and their sidecars take their names together, so that no volume is ever there without its own sidecar."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.scans.processes import clear_left_overs, hidden_beside
from custom.scans.provenance import sidecar_path


class Staged:
    """A hidden folder beside the outputs, in which they are written; leaving the context without an error names them.

    Old volumes go, then new sidecars come, then new volumes: at every moment a volume has its own sidecar.
    The folder is this process's own, so that two runs on one output folder do not meet before that, and there they take
    turns. What killed runs left is removed.

    Args:
        outputs: the volumes, in one folder; the first is named last, since it is the one that a next run looks at.
        stale: volumes that go with the old ones of `outputs` and are not made again; they and their sidecars go.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """

    def __init__(self, outputs: Sequence[Path], stale: Sequence[Path] = ()) -> None:
        self.outputs, self.stale = list(outputs), list(stale)
        self.folder = hidden_beside(outputs[0])

    def place(self, output: Path) -> Path:
        """Where to write an output."""
        return self.folder / output.name

    def add_sidecar(self, output: Path, record: Mapping[str, Any]) -> None:
        """Write the sidecar of an output."""
        with self._told():
            sidecar_path(self.place(output)).write_text(json.dumps(record, indent=2) + "\n")

    def __enter__(self) -> Staged:
        with self._told():
            clear_left_overs(self.outputs[0].parent)
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        try:
            if kind is None:
                with self._told(), _one_at_a_time(self.outputs[0].parent):
                    for output in (*self.outputs, *self.stale):
                        output.unlink(missing_ok=True)
                    for output in self.stale:
                        sidecar_path(output).unlink(missing_ok=True)
                    for output in self.outputs:
                        os.replace(sidecar_path(self.place(output)), sidecar_path(output))
                    for output in reversed(self.outputs):
                        os.replace(self.place(output), output)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fault = f"cannot be written ({error.strerror or error})"
            raise InputError(self.outputs[0], fault, "free some space or choose another output folder") from error


@contextmanager
def staged_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder`, which takes its place when the context ends well: it is whole or not there.

    Raises:
        InputError: it cannot be written or the disk is full.
    """
    hidden = hidden_beside(folder)
    old = hidden.with_name(f".old{hidden.name}")
    try:
        clear_left_overs(folder.parent)
        shutil.rmtree(hidden, ignore_errors=True)
        hidden.mkdir(parents=True)
        yield hidden
        with _one_at_a_time(folder.parent):
            if folder.exists():
                os.replace(folder, old)
            os.replace(hidden, folder)
    except OSError as error:
        fault = f"cannot be written ({error.strerror or error})"
        raise InputError(folder, fault, "free some space or choose another output folder") from error
    finally:
        for left in (hidden, old):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """One process at a time, of those on this machine, names outputs in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
