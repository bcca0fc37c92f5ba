# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Messages about DICOM stacks: each is provoked, its advice followed, and the right stack has to come out."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.importers.cmr.remedies import follow_advice, image, is_stack, made, pixels, said, stack, told

AT_AN_END = "where they lie at an end of the stack"
APART = "put each regular part into a folder and give it as an --input of its own"


def moved(**how):
    """A stack whose last slice is not where it belongs."""

    def make(root):
        stack(root / "p", range(5))
        image(root / "p/moved", 5, **how)

    return make


def fan(root):
    for k in range(6):
        image(root / f"p/im{k}", k, tilt=3 * k)


def phases_but(*lacking):
    def make(root):
        stack(root / "p", range(5), 3)
        for name in lacking:
            (root / "p" / name).unlink()

    return make


def timed(*times, slices=range(5), only=None):
    """A cine with these trigger times, `only` in one slice."""

    def make(root):
        for k in slices:
            for t, time in enumerate(times):
                image(root / f"p/im{k}_{t}", k, t, TriggerTime=time if only in (None, k) else 40 * t)

    return make


def disordered(root):
    for k in range(5):
        for t in range(3):
            image(root / f"p/im{k}_{t}", k, t, InstanceNumber=10 * k + (3 - t if k == 2 else t + 1))


def twice(root):
    for run in (1, 2):
        for k in range(18):
            tags = {"AcquisitionNumber": run, "InstanceNumber": 100 * run + k}
            image(root / f"p/run{run}_{k}", k // 3, k % 3, plus=1000 * (run - 1), **tags)


def another_pixel(root):
    stack(root / "p", range(5))
    image(root / "p/odd", 5, PixelSpacing=[1.7, 1.5])


def no_pixel(root):
    stack(root / "p", PixelSpacing=[0, 0])


def continued(root):
    stack(root / "p", range(5), SeriesDescription="sax")
    image(root / "p/base", 5, SeriesDescription="base", SeriesInstanceUID="1.2.9", SeriesNumber=9)


def series_for_each_phase(root):
    for t in range(3):
        tags = {"SeriesInstanceUID": f"1.2.{t}", "SeriesNumber": 10 + t, "TriggerTime": None}
        for k in range(6):
            image(root / f"p/im{k}_{t}", k, t, **tags | {"InstanceNumber": k + 1})


def constant(root):
    for k in range(5):
        image(root / f"p/im{k}", k, PixelData=bytes(240))


def put(*slices, **tags):
    """Write these slices again as they should be."""
    return lambda root: [image(root / f"p/im{k}", k, **tags) for k in slices]


def remove(name):
    return lambda root: (root / "p" / name).unlink()


def stack_of(*args, **options):
    return lambda out: is_stack(out, *args, **options)


def is_disordered_by_instance(out):
    values = np.asarray(made(out).dataobj)
    for k in range(5):
        times = (2, 1, 0) if k == 2 else (0, 1, 2)
        np.testing.assert_array_equal(values[:, :, k], np.stack([pixels(k, t) for t in times], -1))


FEW = "say with --min_slices how few slices are"
UNEVEN = "p: series 4 (sax): slice 3 (at 16.0 mm) has trigger times 0, 40, 9999 ms"
ORDER = "or say with --phases_by trigger or instance what tells the phases' order"
DISORDER = "in slice 3 InstanceNumber does not follow the trigger times"
# How it is made, options, words of one line, what the user then does, options, what has to come out.
CASES = {
    "displaced": (moved(offset=(6.0, 0.0)), {}, ["moved is displaced in its plane by 6.0 mm", AT_AN_END],
                  remove("moved"), {}, stack_of(range(5))),
    "tilted": (moved(tilt=5), {}, ["p: slices differ in orientation: 1 of series 4 (sax)", AT_AN_END],
               remove("moved"), {}, stack_of(range(5))),
    "fan": (fan, {}, ["p: holds no stack", "slices differ in orientation", "mend the orientations in its headers"],
            put(*range(6)), {}, stack_of()),
    "few slices": (lambda root: stack(root / "p", range(3)), {}, ["p: holds no stack of 4 slices", FEW], None,
                   {"min_slices": 3}, stack_of(range(3))),
    "no clock": (lambda root: stack(root / "p", phases=2), {"phases_by": "temporal"},
                 ["does not say its time by temporal", "choose another --phases_by, such as auto"], None,
                 {"phases_by": "auto"}, stack_of(phases=2)),
    "incomplete": (phases_but("im4_2"), {}, ["slice 5 (at 32.0 mm) has 2 phases, most have 3", "export the series"],
                   lambda root: image(root / "p/im4_2", 4, 2), {}, stack_of(range(5), 3)),
    "incomplete end": (phases_but("im4_2"), {}, ["slice 5", "--drop_incomplete leaves out slices at the ends"], None,
                       {"drop_incomplete": True}, stack_of(range(4), 3)),
    "few complete": (phases_but("im0_2", "im4_2"), {"drop_incomplete": True}, ["p: ", "3 complete slices", FEW],
                     None, {"min_slices": 3}, stack_of(range(1, 4), 3)),
    "few complete, again": (phases_but("im0_2", "im4_2"), {"drop_incomplete": True}, ["export the series again"],
                            lambda root: stack(root / "p", range(5), 3), {}, stack_of(range(5), 3)),
    "disordered": (disordered, {}, [DISORDER, "to go by InstanceNumber, say --phases_by instance"], None,
                   {"phases_by": "instance"}, is_disordered_by_instance),
    "uneven, mended": (timed(0, 40, 9999, only=2), {}, [UNEVEN, "mend them"],
                       lambda root: image(root / "p/im2_2", 2, 2), {}, stack_of(range(5), 3)),
    "uneven, trigger": (timed(0, 40, 9999, only=2), {}, [UNEVEN, ORDER], None, {"phases_by": "trigger"},
                        stack_of(range(5), 3)),
    "uneven, instance": (timed(0, 40, 9999, only=2), {}, [UNEVEN, ORDER], None, {"phases_by": "instance"},
                         stack_of(range(5), 3)),
    "one time": (timed(0, 40, 40), {}, ["two images of trigger 40: im0_1 and im0_2",
                 "if they are phases, order them with --phases_by instance"], None, {"phases_by": "instance"},
                 stack_of(range(5), 3)),
    "one time, removed": (timed(0, 40, 40, only=2), {}, ["has two images of trigger 40: im2_1 and im2_2",
                          "remove one of them"], lambda root: [path.unlink() for path in (root / "p").glob("*_2")], {},
                          stack_of(range(5), 2)),
    "twice, first": (twice, {}, ["was acquired 2 times", "choose with --duplicates first or last"], None,
                     {"duplicates": "first"}, stack_of(phases=3)),
    "twice, last": (twice, {}, ["was acquired 2 times", "choose with --duplicates first or last"], None,
                    {"duplicates": "last"}, stack_of(phases=3, plus=1000)),
    "gap": (lambda root: stack(root / "p", (0, 1, 2, 4, 5)), {}, ["slices are missing", "export the whole series"],
            put(3), {}, stack_of()),
    "another pixel": (another_pixel, {}, ["(odd)", "but they are of this series", f"or remove them {AT_AN_END}"],
                      remove("odd"), {}, stack_of(range(5))),
    "another pixel, mended": (another_pixel, {}, ["(odd)", "but they are of this series", "mend them"],
                              lambda root: image(root / "p/odd", 5), {}, stack_of()),
    "no pixel": (no_pixel, {}, ["im0: ", "PixelSpacing is 0, 0 mm", "as in 5 more files", "mend the header"],
                 put(*range(6)), {}, stack_of()),
    "continued": (continued, {}, ["(base)", "they continue the grid of series 4 (sax)", "take them in with --join all"],
                  None, {"join": "all"}, stack_of()),
    "continued, series": (continued, {}, ["(base)", "or leave their series out with --series"], None,
                          {"series": "^sax$"}, stack_of(range(5))),
    "phases": (series_for_each_phase, {}, ["3 series of one phase lie at the same 6 places", "say --phases_by series"],
               lambda root: shutil.rmtree(root.parent / "out"), {"phases_by": "series"}, stack_of(phases=3)),
    "constant": (constant, {}, ["p: ", "every value is the same", "check the export"], put(*range(5)), {},
                 stack_of(range(5))),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_advice_works(tmp_path, caplog, name):
    follow_advice(tmp_path, caplog, CASES[name], mended="out")


# What is said, the depths of the slices in mm, and what is wrong with the fifth (None: it is not there).
DEPTHS = [8.0 * k for k in range(9)]
BROKEN = {
    "missing": ("slices are missing between slice 4 (at 24.0 mm) and the next (at 40.0 mm)", DEPTHS, None),
    "irregular": ("slices are 8.00 to 19.00 mm apart", [*DEPTHS[:5], *(depth + 3 for depth in DEPTHS[5:])], None),
    "displaced": ("im4 is displaced in its plane by 6.0 mm", DEPTHS, {"offset": (6.0, 0.0)}),
    "tilted": ("slices differ in orientation: 1 of series 4 (sax) by 5.0 degrees", DEPTHS, {"tilt": 5}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_stack_that_is_broken_in_its_middle_becomes_its_regular_parts(tmp_path, caplog, name):
    fault, depths, wrong = BROKEN[name]
    for k, depth in enumerate(depths):
        if k != 4:
            image(tmp_path / f"in/im{k}", k, ImagePositionPatient=[0, 0, depth])
        elif wrong:
            image(tmp_path / f"in/im{k}", k, **wrong)
    assert said(told(caplog, tmp_path / "in", tmp_path / "out"), str(tmp_path / "in"), fault, APART)
    for part, slices in (("a", range(4)), ("b", range(5, 9))):
        (tmp_path / part).mkdir()
        for k in slices:
            shutil.move(tmp_path / f"in/im{k}", tmp_path / part)
        assert not told(caplog, tmp_path / part, tmp_path / "out")
        (tmp_path / "one").mkdir()
        shutil.copy(tmp_path / f"out/{part}.nii.gz", tmp_path / "one")
        is_stack(tmp_path / "one", slices, at=depths[slices[0]])
        shutil.rmtree(tmp_path / "one")
