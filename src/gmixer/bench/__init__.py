"""Measuring like a referee: how much of this machine's arithmetic ceiling is reached, and what the peers make of it.

    row.py        Row, Step, Column: what is measured one after the other, in tables
    stats.py      Spread: median, tenths and ends of many measurements; ratios round by round
    machine.py    what it was measured on, and by which code
    subject.py    the model that is measured, with drawn weights or its own
    stopwatch.py  timing with the ceiling beside it
    fresh.py      a function called in a fresh process; child.py is the other side
    ceiling.py    rows: the ceiling of every instruction set
    forward.py    rows: gmixer's own forward pass, over batch and threads
    stages.py     rows: where the time of an image goes, from JPEG to logits
    jpegs.py      JPEGs to measure with
    contest.py    Contest: entrants that take turns, round by round; its rows
    peers.py      contests: the forward pass; contestants.py is what runs in the processes
    pictures.py   contests: one JPEG to its tensor
    photos.py     contest: a folder of photos to classes and embeddings
    start.py      contests: whole processes, from nothing to the answer; launch.py times them, scripts/ are the peers'
    plan.py       which of these are measured
    report.py     where rows go: tables, pipes, JSON lines
    plot.py       rows as a picture; extras.py: what of gmixer[bench] is installed

Every number is a median with its spread and n; nothing absolute is promised, since machines are shared and drift.
"""
