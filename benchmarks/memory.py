"""Resident memory of a consumer over many frames."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.rig import SAMPLE, Rig


def memory(rig: Rig, console: Console, frames: int = 10_000) -> tuple[float, float]:
    """Print resident MB as frames pass; return it after a tenth of them and at the end."""
    table = Table("frames", "resident MB", title="Consumer process, sample flat out")
    per_clip = 420
    sizes: list[float] = []
    with rig.worker("memory") as worker:
        done = 0
        while done < frames:
            rig.produce(SAMPLE, "--fps", "max", "--topic", "memory")
            done += per_clip
            worker.wait_done(done)
            sizes.append(worker.memory_mb())
    for k in sorted({0, *range(len(sizes) // 8, len(sizes), max(1, len(sizes) // 8)), len(sizes) - 1}):
        table.add_row(str((k + 1) * per_clip), f"{sizes[k]:.0f}")
    console.print(table)
    early = sizes[len(sizes) // 10]
    console.print(
        f"{sizes[-1]:.0f} MB at the end (wanted: under 350), {sizes[-1] - early:+.0f} MB since a tenth of it\n"
    )
    return early, sizes[-1]
