# SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
# SPDX-License-Identifier: Apache-2.0

"""`python -m custom densify EXPORT OUT`, installed as `cardiac-slices densify EXPORT OUT`."""

from custom.densify.command import main

if __name__ == "__main__":
    main()
