# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""MONAI Label app for all bundles: `monailabel start_server --app label_app --studies FOLDER` (docs/monai_label.md)."""
