#!/usr/bin/env python3
"""Sweeps seeds of stayfound-sim on a Dask cluster (PyPI: distributed): a block is a task.

    dask scheduler                                    # on one machine
    dask worker tcp://HOST:8786 --nworkers auto --nthreads 1       # on each
    dask_sweep.py --scheduler tcp://HOST:8786 --seeds 0..10000 --block 100 --out /shared/parts
    stayfound-sim merge /shared/parts --out results

The directory and the program must be at the same path on every machine. A result is a part file,
never something in a worker's memory: what a task returns is its exit code and what it printed, and
the task is released as soon as that is here. So a worker that dies costs the block it was at, and
no other; and whatever is begun again, a block whose part is there takes no time.

Exit codes: those of `stayfound-sim sweep`: of the failing seed that comes first, or 64 and above if
a block could not be done.
"""

import argparse
import ctypes
import itertools
import signal
import subprocess
import sys

from distributed import Client, KilledWorker, as_completed

# Exit codes from here on say that it is not the core that failed.
INFRASTRUCTURE = 64
# Blocks that wait for each thread of a worker: enough that none is idle, few enough to be
# forgotten at no cost.
QUEUED = 3


def run_block(program, arguments, seeds):
    """On a worker: sees to it that the part of a block is there."""
    command = [program, "sweep", "--seeds", seeds, *arguments, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=die_with_parent)
    if done.returncode < 0 or done.returncode >= INFRASTRUCTURE:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.returncode, done.stdout, done.stderr


def die_with_parent():
    """A worker that is killed takes its run with it: else that would go on, and be done twice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def blocks(seeds, block):
    first, end = seeds
    return [(a, min(a + block, end)) for a in range(first, end, block)]


def sweep(client, todo, program, arguments, retries, tell):
    """Does every block; answers the exit code of each, by its first seed."""
    waiting = iter(todo)
    codes = {}
    running = as_completed(loop=client.loop)

    def fill():
        threads = max(1, sum(client.nthreads().values()))
        room = max(0, threads * QUEUED - running.count())
        for first, end in itertools.islice(waiting, room):
            block = [*arguments, "--block", str(end - first)]
            seeds = f"{first}..{end}"
            key = f"block {seeds}"
            running.add(
                client.submit(run_block, program, block, seeds, key=key, retries=retries, pure=False)
            )

    fill()
    for future in running:
        seeds = future.key.removeprefix("block ")
        first = int(seeds.split("..")[0])
        try:
            codes[first], printed, complained = future.result()
        except (RuntimeError, KilledWorker) as error:
            codes[first], printed, complained = INFRASTRUCTURE, "", f"block {seeds}: {error}\n"
        future.release()  # whoever keeps it keeps its result in the memory of a worker
        fill()
        tell(seeds, len(codes), codes[first], printed, complained)
    return codes


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scheduler", required=True, metavar="ADDRESS")
    parser.add_argument("--seeds", required=True, metavar="A..B", type=parse_seeds)
    parser.add_argument("--block", metavar="K", type=parse_block, default=100)
    parser.add_argument("--out", required=True, metavar="DIR", help="where every worker writes")
    parser.add_argument("--program", metavar="PATH", default="stayfound-sim")
    parser.add_argument("--retries", metavar="N", type=int, default=3, help="of a block that fails")
    parser.add_argument("--quiet", action="store_true", help="say nothing of progress")
    parser.add_argument("more", nargs="*", help="after --: more arguments of sweep")
    return parser.parse_args()


def parse_seeds(text):
    first, dots, end = text.partition("..")
    if not (dots and first.isdigit() and end.isdigit() and int(first) < int(end)):
        raise argparse.ArgumentTypeError("give two numbers, the first the lower, as in 0..1000")
    return int(first), int(end)


def parse_block(text):
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError("give a number of seeds, at least 1")
    return int(text)


def main():
    args = parse()
    todo = blocks(args.seeds, args.block)

    def tell(seeds, done, code, printed, complained):
        sys.stderr.write(complained)
        if code not in (0, INFRASTRUCTURE):
            sys.stdout.write(printed)
        if not args.quiet:
            print(f"block {seeds}: exit code {code} ({done} of {len(todo)})", file=sys.stderr)

    with Client(args.scheduler, set_as_default=False) as client:
        client.wait_for_workers(1)
        arguments = ["--out", args.out, *args.more]
        codes = sweep(client, todo, args.program, arguments, args.retries, tell)
    failed = [codes[first] for first, _ in todo if codes[first] != 0]
    undone = sum(code >= INFRASTRUCTURE for code in failed)
    print(f"{len(todo)} blocks, {len(failed) - undone} with failures, {undone} not done")
    sys.exit(INFRASTRUCTURE if undone else next(iter(failed), 0))


if __name__ == "__main__":
    main()
