#!/usr/bin/env python3
"""Sweeps on a real Dask cluster: one scheduler and two workers on loopback, of which one is killed
(SIGKILL) in the middle. Nothing is lost, nothing is done twice but what it was at, and the merged
tables are those of a sweep without any engine, byte for byte.

    sim/engines/test_dask_sweep.py [PROGRAM]      by default target/debug/stayfound-sim

Needs Python 3.10 and its venv; installs `distributed` below target/ the first time. A minute.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
DISTRIBUTED = "distributed==2026.8.0"
SEEDS, BLOCK = (100, 140), 2
# The worker is killed when so many blocks are done.
KILL_AFTER = 6
# No step takes longer, on the slowest machine.
PATIENCE_S = 300

# Stands for the program: notes which block is begun.
NOTING = """#!/bin/sh
echo "$3" >> {log}
exec {program} "$@"
"""


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else TARGET / "debug/stayfound-sim")
    python = install()
    with tempfile.TemporaryDirectory(prefix="stayfound-dask-") as home:
        home = pathlib.Path(home)
        noting, log = home / "noting", home / "log"
        noting.write_text(NOTING.format(log=log, program=program.resolve()))
        noting.chmod(0o755)
        before, killed = swept_by_dask(python, home, noting, log)
        check(home, log.read_text().split(), before, killed)
        compare(program, home)


def install():
    home = TARGET / "engines"
    python = home / "bin/python"
    if not (home / "installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", DISTRIBUTED], check=True)
        (home / "installed").touch()
    return python


def swept_by_dask(python, home, program, log):
    """Answers which blocks were done when the worker was killed, and what it was at."""
    parts, cluster = home / "parts", home / "cluster.json"
    dask = [python, "-m", "distributed.cli.dask_scheduler"], [python, "-m", "distributed.cli.dask_worker"]
    common = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", cluster]
    processes = []
    output = (home / "cluster.log").open("w")

    def begin(command):
        processes.append(subprocess.Popen(command, cwd=home, stdout=output, stderr=output))
        return processes[-1]

    try:
        begin([*dask[0], *common, "--port", "0"])
        wait(cluster.exists, "the scheduler")
        workers = [begin([*dask[1], *common, "--no-nanny", "--nthreads", "1"]) for _ in range(2)]
        address = scheduler_address(cluster)
        seeds = f"{SEEDS[0]}..{SEEDS[1]}"
        sweep = subprocess.Popen(
            [python, HERE / "dask_sweep.py", "--scheduler", address, "--program", program]
            + ["--seeds", seeds, "--block", str(BLOCK), "--out", parts]
        )
        processes.append(sweep)
        victim = workers[1]
        in_the_middle = lambda: len(done(parts)) >= KILL_AFTER and block_of(victim.pid)
        wait(lambda: sweep.poll() is not None or in_the_middle(), "blocks that are done")
        assert sweep.poll() is None, "the sweep ended before a worker could be killed"
        victim.send_signal(signal.SIGSTOP)  # so that what it is at does not end while we look
        killed, before = block_of(victim.pid), done(parts)
        victim.kill()
        victim.wait()
        assert sweep.wait(PATIENCE_S) == 0, "the sweep failed"
        return before, killed
    finally:
        for process in processes:
            process.kill()
            process.wait()
        output.close()


def scheduler_address(cluster):
    import json

    return json.loads(cluster.read_text())["address"]


def wait(condition, what):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def done(parts):
    """The blocks of which the part is there."""
    names = [path.name for path in parts.glob("drawn.*.part")] if parts.exists() else []
    return {name.split(".")[1].replace("-", "..") for name in names}


def children(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or [
        child
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def block_of(worker):
    """The block that a worker is at, as its run's command line says; `None` between two."""
    for child in children(worker):
        words = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        if "--seeds" in words:
            return words[words.index("--seeds") + 1]
    return None


def check(home, begun, before, killed):
    first, end = SEEDS
    blocks = {f"{a}..{a + BLOCK}" for a in range(first, end, BLOCK)}
    assert done(home / "parts") == blocks, "a part is missing, or one too many"
    twice = {block for block in blocks if begun.count(block) > 1}
    assert not twice & before, f"done, and yet done again: {twice & before}"
    assert twice <= {killed}, f"begun more than once: {twice}, but the killed worker was at {killed}"
    assert begun.count(killed) == 2 or killed in before or killed is None
    print(f"{len(blocks)} blocks done; {len(before)} were when a worker was killed at {killed}")


def compare(program, home):
    first, end = SEEDS
    alone = ["--seeds", f"{first}..{end}", "--block", "7", "--out", home / "alone", "--jobs", "2"]
    subprocess.run([program, "sweep", *alone, "--quiet"], check=True)
    for parts in ["parts", "alone"]:
        merge = [program, "merge", home / parts, "--out", home / f"{parts}-results"]
        subprocess.run(merge, check=True)
    one, other = [sorted((home / f"{it}-results").iterdir()) for it in ["parts", "alone"]]
    assert [path.name for path in one] == [path.name for path in other]
    for a, b in zip(one, other):
        assert a.read_bytes() == b.read_bytes(), f"{a.name} differs"
    print(f"{len(one)} files, byte for byte those of a sweep without an engine")


if __name__ == "__main__":
    main()
