"""How long a user waits for `luthier --help`, and a script for `import luthier`.

    python benchmarks/startup.py --runs 10

Reach: 0.7 s and 0.3 s. Prints the median and the slowest of whole processes, interpreter start included.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import luthier, report": [sys.executable, "-c", "import luthier; luthier.report"],
    "luthier --help": [sys.executable, "-m", "luthier", "--help"],
}


def seconds(command: list[str]) -> float:
    """The wall time of one whole process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print one row a command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    for name, command in COMMANDS.items():
        seconds(command)  # warm the file cache
        taken = [seconds(command) for _ in range(runs)]
        print(f"{name:25} median {statistics.median(taken):.3f} s, slowest {max(taken):.3f} s, {runs} runs")


if __name__ == "__main__":
    main()
