"""The model card beside the weights: README.md with the metadata that the Hub reads."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gmixer.catalogue import EMBEDDED_MODEL
from gmixer.config import DataConfig, ModelConfig
from gmixer.models.citation import bibtex

CLASSES_SHOWN = 20
_NOT_SAID = "The author of the model did not say."


@dataclass(frozen=True, kw_only=True)
class About:
    """What only the author of a model knows.

    summary: the purpose of the model, in one or two sentences.
    trained_on: the data and the training.
    accuracy: value in % by measurement, such as {"top-1 on my-val": 93.1}.
    intervals: the 95 % interval in %, by measurement; a measurement may have none.
    limits: what the model cannot do.
    """

    summary: str = ""
    trained_on: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    limits: str = ""


def model_card(
    name: str,
    *,
    folder: str | None = None,
    architecture: str,
    model: ModelConfig,
    data: DataConfig,
    class_names: Sequence[str] | None,
    license: str | None,
    about: About,
) -> str:
    """Markdown with a YAML head. A missing statement is listed as missing, and never guessed.

    name: the repository on the Hub, or the name of the model in `folder`. folder: a path as a user would type it.
    """
    rows = (f"| {what} | {percent:g} %{_interval(about, what)} |" for what, percent in about.accuracy.items())
    accuracy = "\n".join(rows)
    usage = (f"```{language}\n{code}\n```" for language, code in snippets(name, folder, architecture, model))
    sections = {
        "Model": f"""\
- {architecture}: an MLP-Mixer with {model.activation}, {model.blocks} blocks of {model.channels} channels, \
{model.patches} patches of {model.patch_px} px
- {model.parameters / 1e6:.2f} M parameters, {model.macs_with_norms / 1e9:.2f} GMACs
- images: {model.in_chans} × {model.image_px} × {model.image_px}, {data.interpolation} to {data.resize_px} px, \
{data.crop_mode} crop; mean {_listed(data.mean)}, std {_listed(data.std)}
- {_classes(model.num_classes, class_names)}""",
        "Data": about.trained_on or _NOT_SAID,
        "Accuracy": f"| what | measured |\n| --- | --- |\n{accuracy}" if accuracy else _NOT_SAID,
        "Limits": about.limits or _NOT_SAID,
        "Licence": license or _NOT_SAID,
        "How to use": "\n\n".join(usage),
        "Citation": f"```bibtex\n{bibtex(model)}\n```",
    }
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    summary = about.summary or f"An image classifier and feature backbone: {architecture}."
    head = _metadata(name, license, about, in_timm=_in_timm(architecture))
    return f"---\n{head}\n---\n\n# {plain(name)}\n\n{summary}\n\n{body}\n"


def snippets(name: str, folder: str | None, architecture: str, model: ModelConfig) -> list[tuple[str, str]]:
    """How to use a model: (language, code) for the shell, gmixer and timm. name, folder: as in model_card."""
    shell_name = shlex.quote(one_line(folder)) if folder else f"hf-hub:{name}"
    ours = _python_text(folder or f"hf-hub:{name}")
    timms = _python_text(f"local-dir:{folder}" if folder else f"hf-hub:{name}")
    embed = f"gmixer embed photos/ -o photos.npz --model {shell_name}"
    shell = f"gmixer classify photo.jpg --model {shell_name}\n{embed}" if model.num_classes else embed
    call = 'predictor.classify("photo.jpg")' if model.num_classes else 'predictor.embed("photo.jpg")'
    register = "" if _in_timm(architecture) else "import gmixer\n\ngmixer.register_with_timm()\n"
    return [
        ("sh", shell),
        ("python", f"import gmixer\n\npredictor = gmixer.load({ours})\n{call}"),
        ("python", f"import timm\n{register}\nmodel = timm.create_model({timms}, pretrained=True).eval()"),
    ]


def one_line(text: str) -> str:
    """The text on one line. A line break or a lone surrogate, as in the name of a file or class, is escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def plain(text: str) -> str:
    """The text on one line, with Markdown's special characters escaped."""
    return re.sub(r"([\\`*_\[\]<>&#|~])", r"\\\1", one_line(text))


def _in_timm(architecture: str) -> bool:
    return architecture != EMBEDDED_MODEL.partition(".")[0]


def _metadata(name: str, license: str | None, about: About, *, in_timm: bool) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="custom",  # the library merges results of one type into one data set
            dataset_name="the author's own",
            metric_type="accuracy",
            metric_name=what,
            metric_value=percent,
        )
        for what, percent in about.accuracy.items()
    ]
    return ModelCardData(
        library_name="timm" if in_timm else "gmixer",
        pipeline_tag="image-classification",
        tags=["gmixer", "image-classification", "image-feature-extraction"],
        license=license,
        model_name=name if results else None,
        eval_results=results or None,
    ).to_yaml()


def _classes(num_classes: int, class_names: Sequence[str] | None) -> str:
    if not num_classes:
        return "no classes: it only embeds"
    if not class_names:
        return f"{num_classes:,} classes"
    more = ", …" if num_classes > CLASSES_SHOWN else ""
    return f"{num_classes:,} classes: {', '.join(map(plain, class_names[:CLASSES_SHOWN]))}{more}"


def _interval(about: About, what: str) -> str:
    if what not in about.intervals:
        return ""
    low, high = about.intervals[what]
    return f" (95 % interval {low:g} … {high:g})"


def _python_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
