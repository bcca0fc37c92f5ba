# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""NIfTI files as people have them: what in a header can be mended without a guess is mended, and said.

Written after public reports of files that one program writes and another refuses: a quaternion a hair too long beside a
valid sform, a negative pixdim, lengths in micrometres or metres, a plain file named `.nii.gz` and the reverse, a header
that speaks of fewer voxels than the file holds. The file itself is never touched.
"""

from __future__ import annotations

import gzip
import io
import logging
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.spatialimages import HeaderDataError

from custom.errors import InputError, closed
from custom.scans.lengths import to_mm

SAME_PLACE_MM, SAME_SPACING = 0.1, 1e-3
NO_AFFINE, SET_AFFINE = "has no valid affine in its header", "set the affine (sform) in the header"
COPY_AGAIN = "copy or export the file again"
MEND_DIMENSIONS = "mend the dimensions in the header, or export the file again"
MAX_PADDING_BYTES = 15
"""Writers may round a file's length up; more than this is a header that forgets voxels."""
_HAIR = 1e-3
# nibabel says in lines of its own what is mended or refused here in one.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)
_ANALYZE = "an Analyze header states no orientation: left and right may be swapped; save it as NIfTI, which does"
_SFORM = "the sform is taken; to take the other, set sform_code to 0"


@dataclass
class MendedNifti:
    """A NIfTI image with a header that nibabel can work with.

    Args:
        image: lengths in mm; values still on disk where nothing had to be mended.
        notes: what was mended, one phrase each.
        doubts: what was guessed or contradicts itself, one phrase each.
    """

    image: nib.Nifti1Image
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def load_mended(path: str | Path, unit: str | None = None) -> MendedNifti:
    """Open a NIfTI-1 or -2 file, or the .hdr or .img of a pair (Analyze too), and mend its header.

    Args:
        path: of the file; whether it is compressed is seen from its content.
        unit: of its lengths, "mm", "micron" or "meter", whatever the header says; None to take the header's word where
            it is plausible.

    Raises:
        InputError: it is no such file, or its header cannot be mended.
    """
    path = Path(path)
    try:
        return _load(path, unit)
    except InputError:
        raise
    except PermissionError as error:
        raise closed(path, error) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(path, f"cannot be read to its end ({error})", COPY_AGAIN) from error
    except (nib.filebasedimages.ImageFileError, HeaderDataError, OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).replace(str(path), "the file").split()) or type(error).__name__
        raise InputError(path, f"is not a NIfTI image ({reason})", "export it again as NIfTI (.nii.gz)") from error


def _load(path: Path, unit: str | None) -> MendedNifti:
    head, image_file = _parts(path)
    packed = is_gzip(head)
    named = head.suffix == ".gz"
    block = _read(head, 540)
    kind = _kind(block, single=head == image_file)
    if kind is None:
        raise InputError(path, "is not a NIfTI image (its header does not say so)", "export it again as NIfTI")
    if kind is nib.AnalyzeImage:
        image = nib.AnalyzeImage.from_filename(str(head))
        mended = MendedNifti(nib.Nifti1Image(image.dataobj, image.affine))
        mended.image.header.set_xyzt_units("mm")
        mended.doubts.append(_ANALYZE)
        return mended
    header = kind.header_class(block[: kind.header_class.template_dtype.itemsize], check=False)
    before = header.binaryblock
    notes, doubts = [], []
    if packed != named and head == image_file:
        notes.append("is compressed though its name does not say so" if packed else "is not compressed as .gz says")
    _mend(path, header, unit, notes, doubts)
    if header.binaryblock == before and packed == named:
        image = kind.from_filename(str(head))
    else:
        rest = _read(head)[len(before) :]
        image_bytes = None if head == image_file else _read(image_file)
        image = _from_bytes(kind, header.binaryblock + rest, image_bytes)
    _check_length(path, image_file, image)
    if not isinstance(image, nib.Nifti1Image):  # a pair
        image = nib.Nifti1Image(image.dataobj, image.affine, image.header)
    _compare_forms(image, doubts)
    return MendedNifti(image, notes, doubts)


def _parts(path: Path) -> tuple[Path, Path]:
    """The file that holds the header and the one that holds the values."""
    if not path.is_file():
        raise InputError(path, "no such file", "check the path")
    partner = other_half(path)
    if partner is None:
        return path, path
    if not partner.is_file():
        raise InputError(path, f"lacks its other half, {partner.name}", "put both into one folder")
    return (partner, path) if partner.name.lower().endswith((".hdr", ".hdr.gz")) else (path, partner)


def other_half(path: Path) -> Path | None:
    """The name of the .img of a .hdr, or the reverse, there or not; None of what is no half of a pair."""
    name, gz = (path.name[:-3], path.name[-3:]) if path.name.lower().endswith(".gz") else (path.name, "")
    for own, other in ((".hdr", ".img"), (".img", ".hdr")):
        if name.lower().endswith(own):
            return path.with_name(name[: -len(own)] + (other if name.endswith(own) else other.upper()) + gz)
    return None


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed, by its content: names do not always say it."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _read(path: Path, count: int = -1) -> bytes:
    with gzip.open(path) if is_gzip(path) else open(path, "rb") as file:
        return file.read(count)


def _kind(block: bytes, single: bool) -> type | None:
    magic, magic2 = block[344:348], block[4:8]
    if magic in (b"n+1\0", b"ni1\0") and (magic[1:2] == b"+") == single:
        return nib.Nifti1Image if single else nib.Nifti1Pair
    if magic2 in (b"n+2\0", b"ni2\0") and (magic2[1:2] == b"+") == single:
        return nib.Nifti2Image if single else nib.Nifti2Pair
    is_analyze = not single and 348 in (int.from_bytes(block[:4], order) for order in ("little", "big"))
    return nib.AnalyzeImage if is_analyze and len(block) >= 348 else None


def _from_bytes(kind: type, head: bytes, values: bytes | None):
    if values is None:
        return kind.from_bytes(head)
    files = kind.make_file_map()
    files["header"].fileobj, files["image"].fileobj = io.BytesIO(head), io.BytesIO(values)
    return kind.from_file_map(files)


def _mend(path: Path, header, unit: str | None, notes: list[str], doubts: list[str]) -> None:
    """Change fields in place."""
    shape = header.get_data_shape()
    if min(shape, default=0) < 1:
        raise InputError(path, f"has the dimensions {shape} in its header", MEND_DIMENSIONS)
    pixdim = header["pixdim"]
    sform = np.array([header["srow_x"], header["srow_y"], header["srow_z"]], np.float64)
    has_sform = int(header["sform_code"]) > 0 and np.isfinite(sform).all() and np.linalg.det(sform[:, :3]) != 0
    if (pixdim[1:4] < 0).any():
        pixdim[1:4] = np.abs(pixdim[1:4])
        notes.append("voxel sizes are negative: their sign is dropped")
    if not (np.isfinite(pixdim[1:4]).all() and (pixdim[1:4] > 0).all()):
        if not has_sform:
            fault = f"has voxel sizes {[float(v) for v in pixdim[1:4]]} in its header"
            raise InputError(path, fault, "set the voxel spacing in the header")
        pixdim[1:4] = np.linalg.norm(sform[:, :3], axis=0)
        header["qform_code"] = 0
        notes.append("voxel sizes are not positive numbers: those of the sform are taken")
    if not (np.isfinite(pixdim[4]) and pixdim[4] >= 0):
        duration = float(pixdim[4])
        pixdim[4] = -duration if np.isfinite(duration) else 0
        notes.append(f"the duration of a phase is {duration:g}: {'its sign' if pixdim[4] else 'it'} is dropped")
    _mend_quaternion(path, header, has_sform, notes)
    if int(header["sform_code"]) > 0 and not has_sform:
        raise InputError(path, NO_AFFINE, SET_AFFINE)
    to_mm(path, header, unit, has_sform, notes, doubts)


def _mend_quaternion(path: Path, header, has_sform: bool, notes: list[str]) -> None:
    if int(header["qform_code"]) <= 0:
        return
    fields = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
    values = np.array([header[name] for name in fields], np.float64)
    length = float(np.linalg.norm(values[:3])) if np.isfinite(values).all() else math.inf
    if length <= 1:
        return
    if length <= 1 + _HAIR:
        # Rounded towards 0 in float32, so that what is left for the fourth number is not negative.
        for name, value in zip(fields[:3], values[:3] / length * (1 - 1e-7), strict=True):
            header[name] = value
        if length > 1 + 1e-7:
            notes.append("the quaternion of the qform is a hair too long: it is made 1")
    elif has_sform:
        header["qform_code"] = 0
        notes.append("the quaternion of the qform is impossible: the sform is taken")
    else:
        raise InputError(path, "has an impossible quaternion and no sform", "set the orientation in the header")


def _check_length(path: Path, image_file: Path, image: nib.Nifti1Pair) -> None:
    """Refuse a file with more voxels than its header speaks of: they would be read in wrong rows."""
    proxy = image.dataobj
    expected = proxy.offset + math.prod(proxy.shape) * proxy.dtype.itemsize
    size = image_file.stat().st_size
    if is_gzip(image_file):
        with open(image_file, "rb") as file:
            file.seek(-4, io.SEEK_END)
            size = int.from_bytes(file.read(4), "little")  # of the last member, modulo 2^32
        if size == expected % 2**32:
            return
        with gzip.open(image_file) as file:
            size = 0
            while part := file.read(2**24):
                size += len(part)
    if size - expected > MAX_PADDING_BYTES:
        fault = f"holds {size - expected} bytes more than its header says (shape {tuple(proxy.shape)}, {proxy.dtype})"
        raise InputError(path, fault, MEND_DIMENSIONS)
    if size < expected:
        raise InputError(path, f"cannot be read to its end ({expected - size} bytes are missing)", COPY_AGAIN)


def _compare_forms(image: nib.Nifti1Image, doubts: list[str]) -> None:
    """Note where the header contradicts itself; nibabel and this project follow the sform."""
    header = image.header
    if int(header["sform_code"]) <= 0 or len(image.shape) < 3:
        return
    sizes, zooms = voxel_sizes(image.affine), np.array(header.get_zooms()[:3], np.float64)
    if (np.abs(sizes - zooms[: len(sizes)]) > SAME_SPACING * sizes).any():
        told = [" x ".join(f"{value:g}" for value in values) for values in (zooms, sizes)]
        doubts.append(f"voxels are {told[0]} mm by pixdim and {told[1]} mm by the sform: {_SFORM}")
    elif int(header["qform_code"]) > 0:
        corners = np.array([[*np.unravel_index(k, (2, 2, 2)), 1] for k in range(8)]) * [*image.shape[:3], 1.0]
        apart = float(np.abs(corners @ (header.get_qform() - image.affine).T).max())
        if apart > SAME_PLACE_MM:
            doubts.append(f"qform and sform lie {apart:.1f} mm apart: {_SFORM}")
