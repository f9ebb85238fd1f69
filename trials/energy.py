"""Joules that the machine's own counters measured. Nothing is modelled: where no counter can be read, nothing is said.

- `rapl`: processors and their memory, by Linux's powercap (running average power limit). Most systems let only root
  read it, since it tells too much of what runs (CVE-2020-8694).
- `nvml`: NVIDIA GPUs since Volta, by the package `nvidia-ml-py` where that is installed.

A counter is of the whole machine: what else runs meanwhile, and what an idle machine takes, are in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

POWERCAP = Path("/sys/class/powercap")
SOCKETS = ("package", "dram")  # zones that lie side by side; `core` and `uncore` lie in a package, `psys` around it
OFTEN = 60.0  # seconds between readings: under full load, the smallest counters go all the way round in some minutes


@dataclass(frozen=True)
class Counter:
    """Joules since some moment, and at how many it starts from 0 again (0: never)."""

    joules: float
    around: float = 0.0


@dataclass(frozen=True)
class Energy:
    """What was used, and the kinds of counters that say so: "rapl", "nvml" or "nvml,rapl"."""

    joules: float
    measured_by: str


Counters = Mapping[str, Counter]  # by a name that begins with the kind


def read_counters() -> Counters:
    """Every counter that can be read now; empty where there is none."""
    return {**read_rapl(), **read_nvml()}


class Meter:
    """Measures what is used inside a `with` block; afterwards `energy` has it, None where no counter can be read."""

    def __init__(self, read: Callable[[], Counters] = read_counters, often: float = OFTEN) -> None:
        self._read, self._often = read, often
        self._sums: dict[str, float] = {}
        self._ended = threading.Event()
        self.energy: Energy | None = None

    def __enter__(self) -> Self:
        self._last = self._read()
        self._reader = threading.Thread(target=self._read_often, name="energy", daemon=True) if self._last else None
        if self._reader is not None:
            self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is None:
            return
        self._ended.set()
        self._reader.join()
        self._add()
        if self._last:  # a counter that went away in between would leave a part out
            kinds = sorted({name.partition(":")[0] for name in self._last})
            self.energy = Energy(sum(self._sums[name] for name in self._last), ",".join(kinds))

    def _read_often(self) -> None:
        while not self._ended.wait(self._often):
            self._add()

    def _add(self) -> None:
        before, now = self._last, self._read()
        self._last = {name: counter for name, counter in now.items() if name in before}
        for name, counter in self._last.items():
            self._sums[name] = self._sums.get(name, 0.0) + _between(before[name], counter)


def _between(before: Counter, after: Counter) -> float:
    gone = after.joules - before.joules
    return gone if gone >= 0 else max(gone + after.around, 0.0)


def read_rapl(powercap: Path = POWERCAP) -> Counters:
    """The processors' counters and their memory's."""
    return dict(_zones(powercap))


def read_nvml() -> Counters:
    """The NVIDIA GPUs' counters."""
    return dict(_boards())


def _zones(powercap: Path) -> Iterator[tuple[str, Counter]]:
    for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's processors have the same name there
        try:
            if (zone / "name").read_text().startswith(SOCKETS):
                micro = [int((zone / file).read_text()) for file in ("energy_uj", "max_energy_range_uj")]
                yield f"rapl:{zone.name}", Counter(micro[0] / 1e6, micro[1] / 1e6)
        except (OSError, ValueError):  # for root only, or gone
            continue


def _boards() -> Iterator[tuple[str, Counter]]:
    nvml, handles = _gpus()
    for index, handle in enumerate(handles):
        try:
            yield f"nvml:{index}", Counter(nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3)
        except nvml.NVMLError:  # older than Volta
            continue


@lru_cache
def _gpus() -> tuple[Any, list[Any]]:
    """NVIDIA's library and its GPUs; none without the package or a driver."""
    try:
        import pynvml
    except ImportError:
        return None, []
    try:
        pynvml.nvmlInit()
        return pynvml, [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return pynvml, []
