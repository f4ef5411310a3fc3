"""What is tested here lies in benchmarks/, whose modules import one another by their names."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
