"""`python -m editthinker.cli` is `editthinker`."""

from __future__ import annotations

import sys

from editthinker.cli import main

sys.exit(main())
