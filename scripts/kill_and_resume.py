#!/usr/bin/env python3
"""A run of r1_zero or r1 that is killed with -9 again and again and resumed has the bits of one that was not: every file
but report.html, which has the seconds. The kills are spread evenly over the lines that the whole run writes, each a random
moment behind its line; one run on 1 thread, the other on 2.

    scripts/kill_and_resume.py PROGRAM FOLDER KILLS [flags of the program...]
"""
import filecmp
import pathlib
import random
import shutil
import subprocess
import sys
import time


def lines(folder):
    """Of all logs: how far a run is."""
    return sum(p.read_bytes().count(b"\n") for p in folder.glob("*.jsonl"))


def main(program, folder, kills, *flags):
    folder, kills = pathlib.Path(folder), int(kills)
    whole, killed = folder / "whole", folder / "killed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if "--resume" in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout:
        flags += ("--resume",)  # of r1 each run goes on

    started = time.monotonic()
    subprocess.run([program, "--out", whole, "--quiet", "--threads", "1", *flags], check=True)
    total = lines(whole)
    a_line = (time.monotonic() - started) / total

    dice = random.Random(1)
    again = [program, "--out", killed, "--quiet", "--threads", "2", *flags]
    done = []
    for kill in range(kills):
        wanted = 0.95 * total * (kill + dice.random()) / kills
        run = subprocess.Popen(again)
        while run.poll() is None and (not killed.exists() or lines(killed) < wanted):
            time.sleep(a_line / 4)
        time.sleep(2 * a_line * dice.random())
        if run.poll() is None:
            run.kill()
            done.append(max((p.stat().st_mtime, p.name) for p in killed.iterdir())[1])
        elif run.returncode != 0:
            sys.exit(f"the run that was resumed {len(done)} times ended with status {run.returncode}")
        run.wait()
    subprocess.run(again, check=True)

    names = sorted(p.name for p in whole.iterdir() if p.name != "report.html")
    same, different, missing = filecmp.cmpfiles(whole, killed, names, shallow=False)
    extra = {p.name for p in killed.iterdir()} - {p.name for p in whole.iterdir()}
    print("killed behind", ", ".join(done))
    if different or missing or extra:
        sys.exit(f"killed {len(done)} times: other bits in {different}, not there {missing}, left over {sorted(extra)}")
    if not done:
        sys.exit("no run was killed: all were over first")
    print(f"killed {len(done)} times, the same bits in {len(same)} files")


if __name__ == "__main__":
    main(*sys.argv[1:])
