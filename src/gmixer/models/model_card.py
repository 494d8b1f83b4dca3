"""The model card that goes with weights to the Hub: README.md with the metadata that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gmixer.citation import bibtex
from gmixer.config import EMBEDDED_MODEL, DataConfig, ModelConfig

CLASSES_SHOWN = 20
_NOT_SAID = "The author of the model did not say."


@dataclass(frozen=True, kw_only=True)
class About:
    """What only the author of a model knows.

    summary: what it is for, in a sentence or two.
    trained_on: which data, and how.
    accuracy: what was measured, such as "top-1 on my-val", and how much of it in %.
    limits: what it cannot do.
    """

    summary: str = ""
    trained_on: str = ""
    accuracy: Mapping[str, float] = field(default_factory=dict)
    limits: str = ""


def model_card(
    repo_id: str,
    *,
    architecture: str,
    model: ModelConfig,
    data: DataConfig,
    class_names: Sequence[str] | None,
    license: str | None,
    about: About,
) -> str:
    """Markdown with a YAML head. What was not said is said to be so, never guessed."""
    activation = {"swiglu": "SwiGLU", "gelu": "GELU"}[model.mlp]
    in_timm = architecture != EMBEDDED_MODEL.partition(".")[0]
    accuracy = "\n".join(f"| {what} | {percent:g} % |" for what, percent in about.accuracy.items())
    sections = {
        "Model": f"""\
- {architecture}: an MLP-Mixer with {activation}, {model.blocks} blocks of {model.channels} channels, \
{model.patches} patches of {model.patch_px} px
- {model.parameters / 1e6:.2f} M parameters, {model.macs_with_norms / 1e9:.2f} GMACs
- pictures: {model.in_chans} × {model.image_px} × {model.image_px}, {data.interpolation} to {data.resize_px} px, \
{data.crop_mode} crop; mean {_listed(data.mean)}, std {_listed(data.std)}
- {_classes(model.num_classes, class_names)}""",
        "Data": about.trained_on or _NOT_SAID,
        "Accuracy": f"| what | measured |\n| --- | --- |\n{accuracy}" if accuracy else _NOT_SAID,
        "Limits": about.limits or _NOT_SAID,
        "Licence": license or _NOT_SAID,
        "How to use": _usage(repo_id, model, in_timm=in_timm),
        "Citation": f"```bibtex\n{bibtex(model)}\n```",
    }
    body = "\n\n".join(f"## {heading}\n\n{text}" for heading, text in sections.items())
    summary = about.summary or f"An image classifier and feature backbone: {architecture}."
    return f"---\n{_metadata(repo_id, license, about, in_timm=in_timm)}\n---\n\n# {repo_id}\n\n{summary}\n\n{body}\n"


def _metadata(repo_id: str, license: str | None, about: About, *, in_timm: bool) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="custom",  # the library counts results of one type as one data set
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
        model_name=repo_id if results else None,
        eval_results=results or None,
    ).to_yaml()


def _classes(num_classes: int, class_names: Sequence[str] | None) -> str:
    if not num_classes:
        return "no classes: it only embeds"
    if not class_names:
        return f"{num_classes:,} classes"
    more = ", …" if num_classes > CLASSES_SHOWN else ""
    return f"{num_classes:,} classes: {', '.join(class_names[:CLASSES_SHOWN])}{more}"


def _usage(repo_id: str, model: ModelConfig, *, in_timm: bool) -> str:
    name = f"hf-hub:{repo_id}"
    embed = f"gmixer embed photos/ -o photos.npz --model {name}"
    shell = f"gmixer classify photo.jpg --model {name}\n{embed}" if model.num_classes else embed
    call = 'predictor.classify("photo.jpg")' if model.num_classes else 'predictor.embed("photo.jpg")'
    register = "" if in_timm else "import gmixer\n\ngmixer.register_with_timm()\n"
    return f"""\
```sh
{shell}
```

```python
import gmixer

predictor = gmixer.load("{name}")
{call}
```

```python
import timm
{register}
model = timm.create_model("{name}", pretrained=True).eval()
```"""


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
