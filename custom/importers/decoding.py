# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""The pixels of a DICOM file, or the one line that says why there are none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from custom.errors import InputError
from custom.importers.notes import phrase

DECODERS = "pip install python-gdcm pylibjpeg pylibjpeg-openjpeg"
"""What decodes every compressed transfer syntax: gdcm (BSD) the JPEG family and JPEG-LS, openjpeg JPEG 2000."""


def unreadable(path: Path, error: Exception) -> InputError:
    """What to say of a file that cannot be read."""
    return InputError(path, f"cannot be read ({phrase(error)})", "export it again, or leave it out")


def decoded(path: Path, dataset: Dataset, decode: Callable[[Dataset], np.ndarray]) -> np.ndarray:
    """The pixels of a data set.

    Args:
        path: of its file, for messages.
        dataset: with pixel data.
        decode: what makes pixels of it.

    Raises:
        InputError: it is damaged, or compressed in a way that needs a decoder that is not installed.
    """
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    try:
        _check_length(dataset)
        return decode(dataset)
    except StopIteration as error:  # pydicom looks for the next frame in vain
        count = dataset.get("NumberOfFrames")
        raise unreadable(path, ValueError(f"it holds fewer frames than the {count} of its header")) from error
    except MemoryError:
        raise
    except Exception as error:  # whatever stops a decoder is a fault of the file, unless there is no decoder
        if syntax is not None and syntax.is_compressed:
            why = "no decoder is installed" if _lacks_decoder(error) else phrase(error)
            fault = f"is compressed ({syntax.name}) and cannot be decoded ({why})"
            raise InputError(path, fault, f"{DECODERS}, or export it again, uncompressed") from error
        raise unreadable(path, error) from error


def _check_length(dataset: Dataset) -> None:
    """Refuse uncompressed pixels of another size than the header says: pydicom warns of surplus ones, and goes on."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in dataset:
        return
    count = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel") or 1)
    count *= int(dataset.get("NumberOfFrames") or 1)
    if dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
        count = count * 2 // 3  # two pixels share their colour
    expected = (count * int(dataset.BitsAllocated) + 7) // 8
    if not 0 <= len(dataset.PixelData) - expected <= 1:  # one byte makes an odd length even
        raise ValueError(f"it has {len(dataset.PixelData)} bytes of pixels, {expected} are expected")


def _lacks_decoder(error: Exception) -> bool:
    """Whether pydicom found no decoder, rather than one that the data stopped."""
    return isinstance(error, NotImplementedError) or "missing dependencies" in str(error)
