"""gmixer info"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.catalogue import Pretrained
    from gmixer.config import DataConfig, ModelConfig
    from gmixer.labels import Label
    from gmixer.options import NativePrecision, WeightsSource
    from gmixer.weights import Checkpoint

Facts = Iterator[tuple[str, str]]


@flags.shared_flags()
def info(
    *,
    model: Annotated[
        str,
        typer.Argument(
            help="A model name, hf-hub:organization/model, a folder or a .safetensors file. auto is the model that "
            "classify takes.",
            autocompletion=flags.complete_model_or_auto,
        ),
    ] = flags.AUTO,
    cite: Annotated[bool, typer.Option("--cite", help="Print only the BibTeX entry to cite for the model.")] = False,
    weights: WeightsSource,
    debug: flags.Debug = False,
) -> None:
    """Show what a model is, where its weights are, and which instruction set this machine runs it on."""
    from dataclasses import replace

    from gmixer.cli.opening import best_model, plain_warnings
    from gmixer.rows.facts import Fact
    from gmixer.rows.view import open_view

    name, weights = best_model(model, chatty=False), replace(weights, fetch=False)
    with plain_warnings():
        if cite:
            print(_to_cite(name, weights))
            return
        facts = [*_of_name(name, weights), *_of_machine()]
    name_columns = max(len(heading) for heading, _ in facts)
    view = open_view()
    for heading, fact in facts:
        view.row(Fact(heading, fact, name_columns))


def _to_cite(name: str, weights: WeightsSource) -> str:
    from gmixer.catalogue import find_model
    from gmixer.models.citation import bibtex
    from gmixer.weights import find_checkpoint, is_path
    from gmixer.weights.hub import Repo

    if is_path(name) or Repo.parse(name):
        return bibtex(find_checkpoint(name, weights).model)
    full_name, variant, _ = find_model(name)
    return bibtex(variant.model, tag=full_name.partition(".")[2])


def _of_name(name: str, weights: WeightsSource) -> Facts:
    """From the checkpoint; without weights on this machine, from the catalogue."""
    from gmixer.catalogue import find_model
    from gmixer.errors import WeightsError
    from gmixer.labels import labels_for
    from gmixer.weights import find_checkpoint, is_path
    from gmixer.weights.hub import Repo

    try:
        checkpoint = find_checkpoint(name, weights)
    except WeightsError as error:
        if is_path(name) or Repo.parse(name):
            raise
        full_name, variant, pretrained = find_model(name)
        yield from _of_model(full_name, variant.of(pretrained), (pretrained or variant).data)
        yield from _of_training(pretrained, pretrained.license if pretrained else None)
        yield _of_labels(labels_for(variant.of(pretrained).num_classes))
        yield "weights", str(error)
    else:
        yield from _of_model(checkpoint.name, checkpoint.model, checkpoint.data)
        yield from _of_training(checkpoint.pretrained, checkpoint.license)
        yield _of_labels(labels_for(checkpoint.model.num_classes, checkpoint.class_names))
        yield from _of_file(checkpoint)
        yield from _of_conversion(checkpoint)


def _of_model(name: str, model: ModelConfig, data: DataConfig) -> Facts:
    mean, std = (", ".join(f"{value:g}" for value in values) for values in (data.mean, data.std))
    yield "model", name
    patches = f"{model.patches} patches of {model.patch_px} px"
    yield "network", f"{model.blocks} blocks, {patches}, {model.channels} channels, {model.activation}"
    yield "parameters", f"{model.parameters:,}"
    yield "GMACs", f"{model.macs / 1e9:.3f} in the products, {model.macs_with_norms / 1e9:.3f} with LayerNorms"
    yield "activations", f"{model.activations / 1e6:.3f} M"
    yield "input", f"{model.in_chans} × {model.image_px} × {model.image_px}"
    crop = f"{data.interpolation} to {data.resize_px} px, {data.crop_mode} crop {data.image_px} px"
    yield "transform", f"{crop}, mean {mean}, std {std}"
    yield "embedding", f"{model.channels} floats"


def _of_training(pretrained: Pretrained | None, license: str | None) -> Facts:
    if pretrained:
        yield "trained by", pretrained.trained
    if pretrained and pretrained.top1 is not None:
        yield "accuracy", f"top-1 {pretrained.top1:g} % on {pretrained.top1_on}"
    yield "licence", license or "not stated"


def _of_labels(labels: Sequence[Label]) -> tuple[str, str]:
    first = "; ".join(label.name for label in labels[:3])
    more = "; …" if len(labels) > 3 else ""
    return "classes", f"{len(labels):,}: {first}{more}" if labels else "none"


def _of_file(checkpoint: Checkpoint) -> Facts:
    size_mib = sum(path.stat().st_size for path in checkpoint.file.files) / 2**20
    part = f", its {checkpoint.file.part}" if checkpoint.file.part else ""
    yield "weights", f"{checkpoint.path}{part} ({size_mib:.1f} MiB, {', '.join(checkpoint.file.dtypes)})"
    sha256, conversion = checkpoint.file.sha256(), checkpoint.conversion
    if conversion and sha256 != conversion.sha256:
        sha256 += f", not as config.json says ({conversion.sha256})"
    yield "SHA-256", sha256


def _of_conversion(checkpoint: Checkpoint) -> Facts:
    conversion = checkpoint.conversion
    only = conversion is not None and conversion.precision == "int8"
    yield "precision", f"{checkpoint.stored_for}{', and no other' if only else ', unless another one is asked for'}"
    if conversion:
        yield "made from", f"{conversion.source}: {conversion.source_file}, SHA-256 {conversion.source_sha256}"


def _of_machine() -> Facts:
    import platform
    from typing import get_args

    import gmixer
    from gmixer.bench.machine import cpu_name
    from gmixer.isa import available_isas, check_isa
    from gmixer.options import NativePrecision
    from gmixer.runtimes import default_threads

    isas = available_isas()
    yield "processor", cpu_name()
    yield "instructions", f"{check_isa()} (of {', '.join(isas)})"
    yield "precisions", ", ".join(map(_kernels_of, get_args(NativePrecision)))
    yield "threads", str(default_threads())
    yield "gmixer", f"{gmixer.__version__}, Python {platform.python_version()}"


def _kernels_of(precision: NativePrecision) -> str:
    """ "int8 on avx512 with vnni" """
    from gmixer.isa import available_isas, extension_of

    isa = available_isas(precision)[0]
    extension = extension_of(isa, precision)
    return f"{precision} on {isa}" + (f" with {extension}" if extension else "")
