"""One row for each image or fact, written to a file or shown to a reader.

    row.py         the protocol of a row: JSON object, line of cells, drawing in a terminal
    view.py        where rows are shown: a terminal, a pipe, JSON lines
    answers.py     the row of one classified image
    facts.py       the row of one named fact, in a grid
    table.py       columns that fit the width of a terminal
    writer.py      the protocol of a file of rows; opening a file by its suffix
    jsonl.py       JSON lines
    csv_file.py    CSV
    parquet.py     Parquet
    npz.py         the arrays of `gmixer embed`
    progress.py    a progress bar on stderr
    text.py        text that cannot control the terminal

Modules here import rich, numpy and pyarrow only where they use them.
"""
