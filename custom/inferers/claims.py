# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Who does which scan, where several processes write into one folder: `torchrun`, a SLURM array, two commands.

Everything is told by files in the hidden folder `.claims` of the outputs, so that any file system which the processes
share will do:

- `<token>.run` for each process, touched every few seconds while it lives, with what shapes its outputs;
- `<scan>.<n>.claim` holds the token of the process that does a scan. It is made exclusively. A claim whose process is
  no more is never removed by others but followed by number n + 1, which one process alone can make: two that take over
  at once do not meet;
- `<scan>.failed` says why a scan failed, so that processes which were there then do not try again.

A process is gone if it ran on this machine and is not there any more, or if its file was not touched for minutes.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from custom.errors import InputError
from custom.scans.processes import is_running, this_place

FOLDER = ".claims"
BEAT_SECONDS = 10.0
GONE_SECONDS = 300.0
"""Without a beat. File systems on a network show times up to a minute late."""
ALLOWED = {"factor", "options.factor", "settings.inferer.factor"}
"""Options in which runs on one folder may differ at a time: outputs of other factors have names of their own."""


class Claims:
    """A process among those that write into a folder; a context, within which it is known to the others.

    Args:
        output_dir: of the outputs; is there.
        options: what shapes the outputs of this run, JSON values.

    Raises:
        InputError: on entering, if a run with other options is at work in the folder, or it cannot be written.
    """

    def __init__(self, output_dir: str | Path, options: Mapping[str, Any]) -> None:
        self.output_dir, self.folder = Path(output_dir), Path(output_dir) / FOLDER
        self.options = _flat(json.loads(json.dumps(options)))
        self.token = uuid.uuid4().hex
        self._own = self.folder / f"{self.token}.run"
        self._ended = threading.Event()

    def __enter__(self) -> Claims:
        with self._told():
            self._write(self._own, "{}")
            self.started = self._own.stat().st_mtime_ns
            said = {"place": this_place(), "pid": os.getpid(), "started": self.started, "options": self.options}
            self._write(self._own, json.dumps(said))
        try:
            self._check_others()
        except BaseException:
            self._clean()
            raise
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._clean()

    def take(self, scan: str) -> bool:
        """Claim a scan; False if another process does it now.

        Args:
            scan: its name, that of the output.

        Raises:
            InputError: the folder cannot be written.
        """
        key, number = _key(scan), 0
        claims = self._claims(key)
        if claims:
            number = max(claims)
            if self._is_at_work(claims[number]):
                return False
            number += 1
        path = self.folder / f"{key}.{number}.claim"
        with self._told():
            try:
                handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                return False
            try:
                with open(handle, "w") as file:
                    file.write(self.token)
            except OSError:
                path.unlink(missing_ok=True)
                raise
        return True

    def release(self, scan: str, fault: str | None = None) -> None:
        """Give a scan that was taken back, done or (with a fault) failed."""
        mark = self.folder / f"{_key(scan)}.failed"
        with suppress(OSError):  # on a full disk; others will then stumble over the same
            if fault is None:
                mark.unlink(missing_ok=True)
            else:
                self._write(mark, json.dumps({"scan": scan, "fault": fault}))
        for _, path in sorted(self._claims(_key(scan)).items()):  # the newest last: it keeps others away
            path.unlink(missing_ok=True)

    def fault(self, scan: str) -> str | None:
        """Why a scan failed in another process since this one began; None if it did not."""
        mark = self.folder / f"{_key(scan)}.failed"
        try:
            if mark.stat().st_mtime_ns < self.started:
                return None  # of an earlier run: worth another try
            return str(json.loads(mark.read_text())["fault"])
        except (OSError, ValueError, KeyError):
            return None

    def _claims(self, key: str) -> dict[int, Path]:
        names = (path.name.removeprefix(f"{key}.").removesuffix(".claim") for path in self._list(f"{key}.*.claim"))
        return {int(name): self.folder / f"{key}.{name}.claim" for name in names if name.isdigit()}

    def _list(self, pattern: str) -> list[Path]:
        try:
            return list(self.folder.glob(pattern))
        except OSError:
            return []

    def _is_at_work(self, claim: Path) -> bool:
        """Whether the process that made a claim lives; of one that is just being written its age tells."""
        try:
            token = claim.read_text()
            if not token:
                return self._age(claim) < GONE_SECONDS
        except OSError:
            return True  # it has just been given back: the next look will find it free
        return self._lives(self.folder / f"{token}.run")

    def _lives(self, run: Path) -> bool:
        try:
            said, age = json.loads(run.read_text()), self._age(run)
        except OSError:
            return False
        except ValueError:
            return True
        return age < GONE_SECONDS and (said.get("place") != this_place() or is_running(said["pid"]))

    def _age(self, path: Path) -> float:
        """Seconds since a file was touched, by the clock of the file system, which all processes share."""
        os.utime(self._own)
        return (self._own.stat().st_mtime_ns - path.stat().st_mtime_ns) / 1e9

    def _check_others(self) -> None:
        """Refuse to begin beside a run that makes the same outputs otherwise; of two that begin at once the later."""
        for run in self._list("*.run"):
            if run == self._own:
                continue
            if not self._lives(run):
                run.unlink(missing_ok=True)
                continue
            try:
                said = json.loads(run.read_text())
                first = (said["started"], run.name) < (self.started, self._own.name)
                differ = {k for k in said["options"].keys() | self.options.keys()} if first else set()
                differ = {k for k in differ if said["options"].get(k) != self.options.get(k)}
            except (OSError, ValueError, KeyError):
                continue  # it has just begun, and looks at us, or has just ended
            if differ - ALLOWED and not differ & ALLOWED:
                names = ", ".join(sorted({name.rpartition(".")[2] for name in differ})[:4])
                fault = f"another run is writing there with other options ({names})"
                raise InputError(self.output_dir, fault, "wait for its end, or choose another --output_dir")

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            with suppress(OSError):
                os.utime(self._own)

    def _clean(self) -> None:
        """Remove our file, and the folder if nobody else is at work."""
        with suppress(OSError):
            self._own.unlink(missing_ok=True)
            if not any(self._lives_unasked(run) for run in self._list("*.run")):
                for path in self._list("*"):
                    path.unlink(missing_ok=True)
                self.folder.rmdir()

    def _lives_unasked(self, run: Path) -> bool:
        """Whether another process may live, once our own file is gone and no longer tells the time."""
        try:
            said = json.loads(run.read_text())
        except (OSError, ValueError):
            return run.exists()
        return said.get("place") != this_place() or is_running(said["pid"])

    def _write(self, path: Path, text: str) -> None:
        """Write a file whole, and its folder if another process has just removed that."""
        temporary = path.with_name(f"{self.token}.part")
        try:
            for _ in range(3):
                self.folder.mkdir(parents=True, exist_ok=True)
                try:
                    temporary.write_text(text)
                    os.replace(temporary, path)
                    return
                except FileNotFoundError:
                    continue
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise FileNotFoundError(2, "No such file or directory", str(path))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fault = f"cannot be written ({error.strerror or error})"
            raise InputError(self.output_dir, fault, "free some space or choose another --output_dir") from error


def _key(scan: str) -> str:
    """A scan's name as that of a file, however long it is."""
    return f"{scan[:80].replace(os.sep, '_')}-{hashlib.sha256(scan.encode()).hexdigest()[:10]}"


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in options.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found
