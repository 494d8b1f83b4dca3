"""Where rows and progress go: blocks with bars in a terminal, one line a picture in a pipe, JSON lines, CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from gmixer.cli.progress import counting, terminal
from gmixer.errors import ImageError
from gmixer.sources.inputs import Inputs

if TYPE_CHECKING:
    from rich.console import Console

    from gmixer.results import Ancestor, Prediction

HANDFUL = 5  # more pictures than this get a progress bar
WIDEST_COLUMNS = 100  # a wider terminal only moves the names away from their numbers
BAR_COLUMNS = 24
PERCENT_COLUMNS = 8


class Report(Protocol):
    def row(self, path: str, answer: Prediction | ImageError) -> None: ...


@contextmanager
def open_report(inputs: Inputs, *, k: int, rollup: bool, as_json: bool, as_csv: bool) -> Iterator[Report]:
    """The report that the options and the terminal ask for; on leaving, one summary line on stderr.

    k, rollup: what the predictions hold, for those that need to know it before the first.
    """
    console = terminal(sys.stdout) if not (as_json or as_csv) and sys.stdout.isatty() else None
    if as_json:
        report: Report = JsonLines()
    elif as_csv:
        report = Csv(k, rollup=rollup)
    elif console:
        report = Blocks(console)
    else:
        report = Lines()
    with open_progress(inputs, console):
        yield report
    if summary := inputs.summary():
        print(summary, file=sys.stderr)


@contextmanager
def open_progress(inputs: Inputs, console: Console | None = None) -> Iterator[None]:
    """A progress bar on stderr for more than a handful of pictures.

    console: the terminal that also gets the rows, which then scroll above the bar.
    """
    if inputs.files is not None and inputs.files <= HANDFUL:
        yield
    else:
        with counting("files", inputs.files, console=console) as advance:
            inputs.on_progress = lambda done: advance(done, inputs.files)
            yield


class JsonLines:
    """{"path", "model", "predictions": […]} or {"path", "error": {"kind", "message"}}, one object a line.

    With a roll-up also "rollup": [{"label", "probability"}], the deepest first.
    """

    def row(self, path: str, answer: Prediction | ImageError) -> None:
        if isinstance(answer, ImageError):
            fields = {"error": {"kind": answer.kind, "message": answer.reason}}
        else:
            fields = answer.to_dict()
        print(json.dumps({"path": path} | fields), flush=True)


class Csv:
    """One row a picture: path, error_kind, error_message, then index, synset, label and probability of each class.

    rollup: then also one cell, "0.545000 structure; 0.944000 artifact", the deepest first.
    """

    def __init__(self, k: int, *, rollup: bool) -> None:
        self._writer = csv.writer(sys.stdout, lineterminator="\n")
        names = [f"{name}_{i}" for i in range(1, k + 1) for name in ("index", "synset", "label", "probability")]
        self._columns = 3 + len(names)
        self._writer.writerow(["path", "error_kind", "error_message", *names, *(["rollup"] if rollup else [])])
        self._rollup = rollup

    def row(self, path: str, answer: Prediction | ImageError) -> None:
        if isinstance(answer, ImageError):
            cells: list[object] = [path, answer.kind, answer.reason]
        else:
            cells = [path, "", ""]
            for c in answer:
                cells += [c.index, c.synset, c.label, f"{c.probability:.6f}"]
        cells += [""] * (self._columns - len(cells))
        if self._rollup:
            ancestors = () if isinstance(answer, ImageError) else answer.rollup
            cells.append("; ".join(f"{a.probability:.6f} {a.label}" for a in ancestors))
        self._writer.writerow(cells)


class Lines:
    """For pipes: path, then each class, then `rollup` and each ancestor if asked for, tab-separated; a failed picture
    says `error` and why.
    """

    def row(self, path: str, answer: Prediction | ImageError) -> None:
        if isinstance(answer, ImageError):
            cells = ["error", answer.reason]
        else:
            cells = [f"{c.probability:.4f} {printable(c.label)}" for c in answer]
            if answer.rollup:
                cells += ["rollup", *(f"{a.probability:.4f} {a.label}" for a in answer.rollup)]
        print("\t".join([printable(path), *cells]))


class Blocks:
    """For people: the path, then a line with a bar for each class, then what they have in common if asked for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._columns = min(console.width, WIDEST_COLUMNS)
        self._bar_columns = min(BAR_COLUMNS, self._columns // 4)

    def row(self, path: str, answer: Prediction | ImageError) -> None:
        from rich.bar import Bar
        from rich.table import Table
        from rich.text import Text

        self._console.print(Text(printable(path), style="bold", overflow="fold"))
        if isinstance(answer, ImageError):
            self._console.print(Text(f"  {answer.reason}", style="red"), width=self._columns)
        elif not len(answer):
            self._console.print(Text("  no class is that probable", style="dim"))
        for c in answer if not isinstance(answer, ImageError) else ():
            label = Text(printable(c.label))
            label.truncate(self._columns - PERCENT_COLUMNS - self._bar_columns - 2, overflow="ellipsis")
            bar = Bar(1.0, 0.0, c.probability, width=self._bar_columns, color="cyan")
            line = Table.grid(padding=(0, 1))
            line.add_row(f"{c.probability:{PERCENT_COLUMNS}.1%}", bar, label)
            self._console.print(line)
        if not isinstance(answer, ImageError) and answer.rollup:
            self._print_rollup(answer.rollup)

    def _print_rollup(self, ancestors: Sequence[Ancestor]) -> None:
        """The deepest where a class has its percentage; the others run on, a line breaks only between two."""
        import textwrap

        from rich.text import Text

        deepest, *others = ancestors
        percent = f"{deepest.probability:{PERCENT_COLUMNS}.1%} "
        items = [deepest.label, *(f"{a.probability:.1%} {a.label}" for a in others)]
        lines = textwrap.fill(
            "\xa0· ".join(item.replace(" ", "\xa0") for item in items),
            width=self._columns,
            initial_indent=percent,
            subsequent_indent=" " * len(percent),
            break_on_hyphens=False,
        )
        text = Text(lines.replace("\xa0", " "), style="dim")
        text.stylize("bold not dim", 0, len(percent) + len(deepest.label))
        self._console.print(text)


def printable(text: str) -> str:
    """A file's name or a class's may hold line breaks or terminal commands: shown escaped, never obeyed."""
    return "".join(c if c.isprintable() or "\udc80" <= c <= "\udcff" else ascii(c)[1:-1] for c in text)
