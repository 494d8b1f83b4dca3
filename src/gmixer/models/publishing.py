"""A torch Mixer → a repository on the Hub, with the folder from save_model and a model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gmixer.config import DataConfig
from gmixer.models.model_card import About, model_card
from gmixer.models.saving import save_model
from gmixer.weights.architecture import variants_of
from gmixer.weights.hub import CONFIG_FILE, Repo, upload
from gmixer.weights.timm_config import read_timm_config

if TYPE_CHECKING:
    from torch import nn


def push_to_hub(
    model: nn.Module,
    repo_id: str,
    *,
    data: DataConfig | None = None,
    class_names: Sequence[str] | Mapping[int, str] | None = None,
    license: str | None = None,
    summary: str = "",
    trained_on: str = "",
    accuracy: Mapping[str, float] | None = None,
    limits: str = "",
    private: bool | None = None,
    token: str | None = None,
    message: str = "Upload by gmixer",
) -> str:
    """Uploads weights, config.json and a model card to the repository, and returns its address.

    A missing repository is created.
    model: gmixer's Mixer or timm's MlpMixer. data, class_names, license: see save_model.
    summary, trained_on, accuracy, limits: statements for the card (see gmixer.models.model_card.About). accuracy is in
        %, by measurement: {"top-1 on my-val": 93.1}.
    private: None takes the account's default. token: None takes HF_TOKEN, or the token from the Hub's login.

    Raises InputError and WeightsError as save_model does, and WeightsError if the Hub refuses.
    """
    repo = Repo.of(repo_id)
    about = About(summary=summary, trained_on=trained_on, accuracy=accuracy or {}, limits=limits)
    with TemporaryDirectory() as temporary:
        folder = save_model(model, temporary, data=data, class_names=class_names, license=license)
        saved = read_timm_config(folder / CONFIG_FILE)
        card = model_card(
            repo.id,
            architecture=variants_of(saved.model)[0],
            model=saved.model,
            data=saved.data,
            class_names=saved.class_names,
            license=saved.license,
            about=about,
        )
        (folder / "README.md").write_text(card, encoding="utf-8")
        return upload(folder, repo, private=private, token=token, message=message)
