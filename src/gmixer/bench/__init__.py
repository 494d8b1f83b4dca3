"""`gmixer bench`: how fast the network runs here, and how near it comes to the machine's arithmetic ceiling.

    row.py        TableRow, Step, Column: what is measured one after the other, in tables
    stats.py      Spread: median, tenths and ends of many measurements
    machine.py    the machine and the code that a measurement was made with
    target.py     Target: the measured model, with drawn weights or its own
    workload.py   Workload: what one process measures
    stopwatch.py  times calls, and measures the ceiling between them
    fresh.py      calls a function in a fresh process; fresh_main.py runs there
    ceiling.py    rows: the ceiling of every instruction set
    forward.py    rows: the forward pass, over batch and threads
    stages.py     rows: where the time of an image goes, from JPEG to logits
    jpegs.py      draws JPEGs to measure with
    plan.py       which steps are measured
    tables.py     prints rows: tables, tab-separated lines, JSON lines
    plot.py       draws rows with matplotlib

Every number is a median with its spread and n. Machines are shared and drift, so no absolute time is promised.
The comparison with other runtimes is in benchmarks/ of the repository.
"""
