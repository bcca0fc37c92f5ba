# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""One pullback after the other into a folder: converted, written with its sidecar, and told."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from custom.errors import InputError
from custom.importers.intake import place_of
from custom.importers.notes import Doubt, phrase
from custom.importers.oct.conversion import ConversionOptions, ConvertedPullback, convert
from custom.importers.oct.reading import read_source
from custom.importers.oct.source import OctSource, SourcePullback
from custom.importers.oct.sources import FindOptions
from custom.scans.provenance import read_sidecar, sha256_of, sidecar_path, write_json
from custom.scans.pullbacks import PullbackWriter, new_pullback


@dataclass
class Fate:
    """What became of a source.

    Args:
        path: of the source.
        place: see `OctSource.place`.
        patient: whose it is.
        entry: of the datalist; None where it failed.
        count: frames of the output.
        fault: why it failed, in one line.
        notes: what was guessed, and why.
    """

    path: Path
    place: str
    patient: str = ""
    entry: dict[str, Any] | None = None
    count: int = 0
    fault: str = ""
    notes: list[str] = field(default_factory=list)

    def row(self) -> dict[str, str]:
        """Of `sources.csv`."""
        row = {"source": self.path.name, "place": self.place, "patient": self.patient}
        row |= {"fate": "failed" if self.fault else "done", "outputs": self.entry["image"] if self.entry else ""}
        return row | {"reason": "; ".join(filter(None, [self.fault, *self.notes]))}


class Preparation:
    """Converts pullbacks into a folder.

    Args:
        folder: of the outputs.
        options: how pullbacks are converted.
        finding: how they were found.
        frames: (start, stop) of the part to convert; None for all.
        mask: `(H, W)` bool of burnt-in marks, None where the user gives none.
        mask_path: its file.
        compress: write `.nii.gz` rather than `.nii`.
    """

    def __init__(
        self,
        folder: Path,
        options: ConversionOptions,
        finding: FindOptions,
        frames: tuple[int, int] | None = None,
        mask: np.ndarray | None = None,
        mask_path: Path | None = None,
        compress: bool = True,
    ) -> None:
        self.folder, self.options, self.finding, self.frames = folder, options, finding, frames
        self.mask, self.suffix = mask, ".nii.gz" if compress else ".nii"
        self.mask_sha256 = sha256_of(mask_path) if mask_path else None
        self._names: set[str] = set()
        self._places: set[str] = set()

    def convert(self, source: OctSource | InputError, name: str | None = None) -> Fate:
        """Convert a source. Nothing that is wrong with it is raised: its fault is in the fate.

        Args:
            source: as :func:`custom.importers.oct.sources.find_sources` has found it.
            name: of the output, without suffix; None for :func:`output_name`.
        """
        if isinstance(source, InputError):
            return Fate(source.path, place_of(source.path), fault=_line(source))
        fate = Fate(source.path, source.place(), source.patient)
        is_settled = "--frame_pitch_mm" if self.options.frame_pitch_mm else None
        doubts = [doubt for doubt in source.doubts if not (is_settled and is_settled in doubt)]
        fate.notes += [f"patient {source.patient}, by {source.patient_from}", *doubts]
        try:
            self._convert(source, name, fate)
        except (InputError, OSError) as error:
            fate.fault = _line(error)
        except MemoryError as error:
            fate.fault = f"{source.path}: is too large for memory ({phrase(error)}); {_parts(source)}"
        except Exception as error:  # readers of many libraries: one bad source costs one line
            told = f"{type(error).__name__}: {phrase(error)}"
            fate.fault = f"{source.path}: cannot be read ({told}); export it again, or leave it out"
        return fate

    def stale(self) -> list[str]:
        """Outputs of earlier runs that the sources of this run, where they lie, have under other names now."""
        found = []
        for path in sorted(self.folder.glob("*.nii*")):
            if path.name not in self._names and read_sidecar(path).get("source_place") in self._places:
                found.append(path.name)
        return found

    def is_done(self, source: OctSource, name: str) -> bool:
        """Whether the output of a name is there, made of the same content with the same options."""
        output = self.folder / f"{name}{self.suffix}"
        said = read_sidecar(output)
        if not output.is_file() or said.get("options") != json.loads(json.dumps(self._options())):
            return False
        return said.get("source_sha256") == source.sha256()

    def _output(self, source: OctSource, name: str | None, sha256: str, fate: Fate) -> Path:
        """The file to write, which is that of no other source, in this run or an earlier one."""
        wanted, number = name or output_name(source), 1
        output = self.folder / f"{wanted}{self.suffix}"
        while output.name in self._names or _is_of_another(output, sha256, place_of(source.path)):
            if name:
                fault = f"would be {output.name}, which another source is"
                raise InputError(source.path, fault, "rename one of them, or choose another folder for the output")
            number += 1
            output = self.folder / f"{wanted}-{number}{self.suffix}"
        if number > 1:
            told = f"{wanted} is the name of another source or file: this one becomes {wanted}-{number}"
            remedy = "if two patients share it, give --input the folder around both"
            fate.notes.append(Doubt(f"{told}, of patient {source.patient}; {remedy}"))
        return output

    def _convert(self, source: OctSource, name: str | None, fate: Fate) -> None:
        sha256 = source.sha256()
        output = self._output(source, name, sha256, fate)
        read = read_source(source, self.finding.label_like, part=self.frames)
        if self.mask is not None and self.mask.shape != (size := read.frames.shape[1:3]):
            fault = f"has frames {size}, --overlay_mask is {self.mask.shape}"
            raise InputError(source.path, fault, "give a mask of the size of a frame")
        pullback = convert(source.path, read, self.options, self.mask)
        fate.notes += pullback.notes
        info = new_pullback(
            source.path, pullback.frames.shape, pullback.frames.dtype, pullback.spacing_mm, pullback.coordinates
        )
        with PullbackWriter(output, info, pullback.frames.shape[2]) as writer:
            for k in range(pullback.frames.shape[2]):
                writer.write(pullback.frames[..., k])
        self._names.add(output.name)
        self._places.add(place_of(source.path))
        record = self._record(source, read, pullback, sha256)
        record |= {"notes": fate.notes, "guesses": [note for note in fate.notes if isinstance(note, Doubt)]}
        write_json(sidecar_path(output), record)
        fate.entry, fate.count = {"image": output.name, "patient": source.patient}, pullback.frames.shape[2]
        shape = " x ".join(str(n) for n in pullback.frames.shape)
        spacing = " x ".join(f"{value:.5g}" for value in pullback.spacing_mm)
        fate.notes.append(f"{output.name}: {pullback.coordinates}, {shape}, {spacing} mm")

    def _record(
        self, source: OctSource, read: SourcePullback, pullback: ConvertedPullback, sha256: str
    ) -> dict[str, Any]:
        """The sidecar, without notes."""
        start, stop = self.frames or (0, len(read.frames))
        numbers = source.numbers and list(source.numbers[start:stop])
        return {
            "source": source.path.name,
            "source_sha256": sha256,
            "source_place": place_of(source.path),
            "patient": source.patient,
            "patient_from": source.patient_from,
            "source_frames": [start, stop],
            "frame_numbers": numbers,
            "source_window": pullback.window,
            "coordinates": pullback.coordinates,
            "shape": list(pullback.frames.shape),
            "spacing_mm": [round(float(value), 6) for value in pullback.spacing_mm],
            "from_colour": read.frames.ndim == 4,
            "overlay_pixels_filled": int(pullback.overlay.sum()),
            "label_pixels_filled": {str(k): count for k, count in pullback.labels.items()},
            "overlay_mask_sha256": self.mask_sha256,
            "options": self._options(),
        }

    def _options(self) -> dict[str, Any]:
        return dataclasses.asdict(self.options) | dataclasses.asdict(self.finding)


def _parts(source: OctSource) -> str:
    """What to do with a pullback that is too large; of other files than these all is read, whatever is asked for."""
    if len(source.files) > 1 or source.path.suffix.lower() == ".npy":
        return "give a part of it with --frames"
    return "export it in parts"


def _line(error: Exception) -> str:
    """All that an error says, remedy included, in one line."""
    return " ".join(str(error).split())


def output_name(source: OctSource) -> str:
    """`<patient>_<words>` without words that are the patient."""
    words = [source.patient, *(word for word in source.words if word != source.patient)]
    return re.sub(r"[^\w.-]+", "-", "_".join(words)).lstrip(".") or "pullback"


def _is_of_another(output: Path, sha256: str, place: str) -> bool:
    """Whether a file is there that something else than this source made: it is told by content or by place."""
    said = read_sidecar(output)
    is_this = said.get("source_sha256") == sha256 or said.get("source_place") == place
    return (output.exists() or sidecar_path(output).exists()) and not is_this
