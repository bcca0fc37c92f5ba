# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""Cardiac MR exports: DICOM, UK Biobank, ACDC, M&Ms, NIfTI trees."""
