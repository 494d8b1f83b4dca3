"""gmixer agreement"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags
from gmixer.cli.against import AgainstModel

if TYPE_CHECKING:
    from gmixer.agreement import Agreement, Answers, AnswersAgreement
    from gmixer.options import Native, Reading, Torch, WeightsSource
    from gmixer.predictor import Predictor

LISTED = 20  # of the images with another answer, and of the unreadable images


@flags.shared_flags()
def agreement(
    *,
    paths: flags.Paths,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="PRECISION",
            help="The precision to compare with. Default: fp32; for --against-model what its weights are stored for.",
        ),
    ] = None,
    against_model: AgainstModel = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, with all changed answers.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Also draw a plot into this .png, .svg or .pdf file (needs pip install 'gmixer\\[bench]')."),
    ] = None,
    model: flags.Model = flags.AUTO,
    image_size: flags.ImageSize = None,
    weights: WeightsSource,
    reading: Reading,
    runtime: Native | Torch,
    debug: flags.Debug = False,
) -> None:
    """Compare a model's answers in one precision with its answers in another, on your own images.

    Example: gmixer agreement photos --precision int8 --against fp32

    It needs no labels. It prints how many answers are the same, how much probabilities change, and the cosine of the
    embeddings. It lists the images with another answer.

    Exit status: 0 all images were read, 1 some images could not be read or a folder or an archive holds none, 2 the
    command could not run or no image was read.
    """
    from dataclasses import replace
    from functools import partial

    from gmixer.agreement import compare, summarise
    from gmixer.cli.against import open_against
    from gmixer.cli.opening import best_model, file_progress, open_model
    from gmixer.cli.terminal import own_stderr
    from gmixer.rows.text import printable
    from gmixer.sources.inputs import Inputs

    if plot:
        from gmixer.bench.plot import check_plot

        check_plot(plot)
    if against is None and against_model is None:
        against = "fp32"
    source, reading = best_model(model, chatty=not as_json), replace(reading, allow_urls=True)
    predictor = open_model(source, weights, reading, runtime, image_size)
    other = open_against(predictor, against_model, weights, runtime, against, image_size)
    inputs = Inputs(paths, reading)
    with own_stderr(), file_progress(inputs):
        found = summarise(inputs.results(partial(compare, predictor, other)))
    if as_json:
        typer.echo(json.dumps(_sides(predictor, other) | found.to_dict()))
    else:
        _show(predictor, other, found)
    if summary := inputs.summary():
        print(printable(summary), file=sys.stderr)
    if plot:  # last, so that the results are shown even if the disk is full
        from gmixer.agreement.plot import plot_agreement
        from gmixer.bench.machine import this_machine

        plot_agreement(found, predictor, other, this_machine(), plot)
    raise typer.Exit(1 if inputs.failed else 0)


def _sides(predictor: Predictor, other: Predictor) -> dict[str, object]:
    def side(p: Predictor) -> dict[str, str]:
        return {"model": p.name, "precision": p.precision, "runtime": repr(p.runtime)}

    return side(predictor) | {"against": side(other)}


def _show(predictor: Predictor, other: Predictor, found: Agreement) -> None:
    from gmixer.evaluate.noted_images import in_words
    from gmixer.rows.facts import Fact
    from gmixer.rows.text import printable
    from gmixer.rows.view import open_view

    view, changed = open_view(), found.answers.changed if found.answers else ()
    facts = [
        ("model", f"{predictor.name} {predictor.runtime!r}"),
        ("against", f"{other.name} {other.runtime!r}"),
        ("images", f"{found.n:,}"),
        *(_of_answers(found.answers, predictor, other) if found.answers else ()),
        ("embedding cosine", ", ".join(f"{value:.6f} ({_percentile(p)})" for p, value in found.cosines.items())),
        *([("changed answers", f"{len(changed):,}; the clearest first")] if changed else ()),
        *((f"  lead {answers.margin:.2%}", _in_words(path, answers)) for path, answers in changed[:LISTED]),
    ]
    name_columns = max(len(name) for name, _ in facts)
    for name, fact in facts:
        view.row(Fact(name, fact, name_columns))
    if len(changed) > LISTED:
        print(f"… and {len(changed) - LISTED:,} more; --json lists all")
    for note in in_words(found.notes):
        print(printable(note))
    for error in found.unreadable[:LISTED]:
        print(f"not counted, cannot be read: {printable(str(error))}")
    if len(found.unreadable) > LISTED:
        print(f"… and {len(found.unreadable) - LISTED:,} more; --json lists all")


def _of_answers(found: AnswersAgreement, predictor: Predictor, other: Predictor) -> Iterator[tuple[str, str]]:
    from gmixer.agreement.compare import TOP, sides
    from gmixer.agreement.summary import CLEAR_MARGIN, DIVERGENCE_PERCENTILE

    _, there = sides(predictor, other)
    yield "same answer", str(found.same)
    clear = str(found.clear) if found.clear.n else "no image has one"
    yield "same clear answer", f"{clear}; clear: leads by {CLEAR_MARGIN:.0%} or more in {there}"
    if len(predictor.labels) > TOP:  # otherwise all classes are among the five
        yield "top-5 in common", f"{found.shared:.2%}"
    yield "top probability", f"changes by {found.mean_change:.2%} on average, by {found.largest_change:.2%} at most"
    percentile = _percentile(DIVERGENCE_PERCENTILE)
    yield (
        "KL divergence",
        f"{found.mean_divergence:.2g} on average, {found.high_divergence:.2g} ({percentile}), in nats",
    )


def _in_words(path: str, answers: Answers) -> str:
    expected, given = (f"{c.label} {c.probability:.2%}" for c in (answers.expected, answers.given))
    return f"{path}: {expected} → {given}"


def _percentile(number: int) -> str:
    return {1: "1st percentile", 50: "median"}.get(number, f"{number}th percentile")
