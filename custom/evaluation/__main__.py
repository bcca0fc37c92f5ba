# Copyright 2026 The CardioInterp Bundles Authors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""`python -m custom.evaluation compare …`: methods on the same windows. `… paper NAME`: a paper's table or figure."""

from __future__ import annotations

import fire

from custom.errors import report_input_errors
from custom.evaluation.compare import compare
from custom.evaluation.paper import paper


def main() -> None:
    """Command line."""
    report_input_errors()
    fire.Fire({"compare": compare, "paper": paper})


if __name__ == "__main__":
    main()
