"""What all tests share: the folder of doubles on the path, and no network for models."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
