# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Errors that a user can mend."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType


class InputError(ValueError):
    """Bad input, told in one line: which file, what is wrong with it, and what to do.

    Args:
        path: the file or folder at fault.
        fault: what is wrong, without a full stop.
        remedy: what the user can do about it.
    """

    def __init__(self, path: str | Path, fault: str, remedy: str) -> None:
        self.path, self.fault, self.remedy = Path(path), fault, remedy
        super().__init__(f"{path}: {fault}; {remedy}")


def closed(path: str | Path, error: OSError) -> InputError:
    """The fault of a file or folder that the user may not read."""
    return InputError(path, f"cannot be read ({error.strerror or error})", "change its permissions")


def closed_file(path: Path) -> InputError | None:
    """The fault of a file that is there and that the user may not read; None if he may."""
    try:
        with open(path, "rb"):
            return None
    except PermissionError as error:
        return closed(path, error)
    except OSError:
        return None


class NotExportable(InputError):
    """A network that TorchScript or ONNX cannot hold.

    Args:
        sentence: which network, why, and what to do instead.
    """

    def __init__(self, sentence: str) -> None:
        ValueError.__init__(self, sentence)


class TooShort(InputError):
    """A scan with too few slices or frames for what is asked of it; others of the same list may have enough."""


def report_input_errors() -> None:
    """From now on, an `InputError` that nobody catches ends the process with its one line instead of a traceback.

    For commands: MONAI wraps whatever a config's component raises, and the line would be somewhere in the middle. First
    in a config's `run`.
    """
    sys.excepthook = _report


def input_error_in(error: BaseException) -> InputError | None:
    """The `InputError` that an exception is or was raised from: MONAI wraps what its components raise."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _wrong_option(error: BaseException) -> ValueError | None:
    """The `ValueError` of a component that could not be made from its options, before anything ran; else None."""
    if not str(error).startswith("Failed to instantiate component"):
        return None
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__
    return cause if isinstance(cause, ValueError) else None


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    cause = input_error_in(error) or _wrong_option(error)
    if cause is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"error: {cause}", file=sys.stderr)
