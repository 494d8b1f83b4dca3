"""ModelConfig and DataConfig of every variant against timm's modules, and the checks of their values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from functools import cache, partial
from itertools import product

import pytest
import timm
import torch
from timm.layers import GluMlp
from timm.models.mlp_mixer import MlpMixer
from torch import nn

from gmixer.catalogue import VARIANTS, Pretrained, Variant
from gmixer.config import DataConfig, ModelConfig
from gmixer.errors import GmixerError, InputError

CLASS_COUNTS = (1000, 0, 21843)

# timm knows no gmixer_8_64; this is its module built as DESIGN §7 describes the variant.
_GMIXER_8_64 = partial(
    MlpMixer,
    img_size=64,
    patch_size=8,
    num_blocks=8,
    embed_dim=256,
    mlp_ratio=(1.0, 4.0),
    mlp_layer=GluMlp,
    act_layer=nn.SiLU,
)


@cache
def timm_model(name: str, num_classes: int = 1000) -> nn.Module:
    """On the meta device: shapes without numbers, so that the 208 M parameters of mixer_l16 cost nothing."""
    build = _GMIXER_8_64 if name == "gmixer_8_64" else partial(timm.create_model, name)
    return build(num_classes=num_classes, device="meta").eval()


@cache
def measured(name: str, num_classes: int) -> tuple[int, int, int]:
    """(multiply-accumulates, LayerNorm elements, activations) of one image, counted by hooks on timm's modules."""
    macs = norm_elements = activations = 0

    def count(module: nn.Module, _inputs: object, out: torch.Tensor) -> None:
        nonlocal macs, norm_elements, activations
        if isinstance(module, nn.LayerNorm):
            norm_elements += out.numel()
        else:
            per_output = module.weight[0].numel()  # the weights that one output sums over
            macs += out.numel() * per_output
            activations += out.numel()

    model = timm_model(name, num_classes)
    counted = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.LayerNorm)]
    handles = [m.register_forward_hook(count) for m in counted]
    side = VARIANTS[name].model.image_px
    with torch.no_grad():
        model(torch.empty(1, 3, side, side, device="meta"))
    for handle in handles:
        handle.remove()
    return macs, norm_elements, activations


# --- the arithmetic against timm's modules ---------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "num_classes"), list(product(VARIANTS, CLASS_COUNTS)))
def test_tensor_shapes(name, num_classes):
    config = replace(VARIANTS[name].model, num_classes=num_classes)
    want = {key: tuple(tensor.shape) for key, tensor in timm_model(name, num_classes).state_dict().items()}
    assert list(config.tensor_shapes().items()) == list(want.items())  # names, order, shapes
    assert config.parameters == sum(p.numel() for p in timm_model(name, num_classes).parameters())


@pytest.mark.parametrize(("name", "num_classes"), list(product(VARIANTS, CLASS_COUNTS)))
def test_cost(name, num_classes):
    config = replace(VARIANTS[name].model, num_classes=num_classes)
    macs, norm_elements, activations = measured(name, num_classes)
    assert config.macs == macs
    assert config.macs_with_norms == macs + 5 * norm_elements
    assert config.activations == activations


@pytest.mark.parametrize("name", [n for n, v in VARIANTS.items() if v.pretrained])
def test_every_published_class_count(name):
    """Each tag's own count: 21,843 and 11,221 besides ImageNet's."""
    for pretrained in VARIANTS[name].pretrained.values():
        config = replace(VARIANTS[name].model, num_classes=pretrained.num_classes)
        want = timm_model(name, pretrained.num_classes).state_dict()
        assert config.tensor_shapes() == {key: tuple(tensor.shape) for key, tensor in want.items()}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gmixer_24_224", 24_721_096),
        ("mixer_b16_224", 59_880_472),
        ("mixer_b32_224", 60_293_428),
        ("mixer_l16_224", 208_196_168),
    ],
)
def test_published_parameters(name, parameters):
    """FACTS §1 for the card; google-research/vision_transformer, models_test.py `MODEL_SIZES`, for the Mixers."""
    assert VARIANTS[name].model.parameters == parameters


def test_published_cost():
    """FACTS: the card says 5.28 GMACs and 14.45 M activations."""
    card = VARIANTS["gmixer_24_224"].model
    assert round(card.macs / 1e9, 4) == 5.2604
    assert round(card.macs_with_norms / 1e9, 2) == 5.28
    assert round(card.activations / 1e6, 3) == 14.453
    # 196 patches of 768 → 384; in 24 blocks 384 columns of 196 → 384, 192 → 196 and 196 rows of 384 → 1536, 768 → 384.
    assert card.stage_macs == {
        "stem": 57_802_752,
        "token MLP": 1_040_449_536,
        "channel MLP": 4_161_798_144,
        "head": 384_000,
    }
    b16 = VARIANTS["mixer_b16_224"].model
    assert (round(b16.macs / 1e9, 4), round(b16.macs_with_norms / 1e9, 4)) == (12.6018, 12.6206)


def test_real_tensors_agree_with_the_meta_device():
    model = timm.create_model("gmixer_12_224")
    assert sum(p.numel() for p in model.parameters()) == VARIANTS["gmixer_12_224"].model.parameters


@pytest.mark.parametrize(("in_chans", "image_px"), [(1, 224), (4, 256), (3, 64)])
def test_other_inputs(in_chans, image_px):
    config = replace(VARIANTS["gmixer_12_224"].model, in_chans=in_chans, image_px=image_px)
    want = timm.create_model("gmixer_12_224", in_chans=in_chans, img_size=image_px, device="meta").state_dict()
    assert config.tensor_shapes() == {key: tuple(tensor.shape) for key, tensor in want.items()}


@pytest.mark.parametrize("name", VARIANTS)
def test_kind_of_mlp_and_norm(name):
    model, config = timm_model(name), VARIANTS[name].model
    block = model.blocks[0]
    glu = isinstance(block.mlp_tokens, GluMlp) and isinstance(block.mlp_channels, GluMlp)
    assert glu == (config.mlp == "swiglu")
    assert isinstance(block.mlp_tokens.act, nn.SiLU if glu else nn.GELU)
    assert {m.eps for m in model.modules() if isinstance(m, nn.LayerNorm)} == {1e-6}  # as in layernorm.hpp
    assert (config.patches, config.blocks) == (model.stem.num_patches, len(model.blocks))


# --- closed, frozen, checked -----------------------------------------------------------------------------------------

MODEL = VARIANTS["gmixer_24_224"].model
DATA = VARIANTS["gmixer_24_224"].data


@pytest.mark.parametrize(
    "config", [MODEL, DATA, Pretrained(data=DATA, trained="by whom"), Variant(model=MODEL, data=DATA)], ids=type
)
def test_frozen_and_closed(config):
    some_field = next(iter(type(config).__dataclass_fields__))
    with pytest.raises(FrozenInstanceError):
        setattr(config, some_field, 1)
    with pytest.raises(TypeError, match="unexpected keyword"):
        replace(config, patch_size=16)
    with pytest.raises(TypeError, match="positional"):
        type(config)(1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_px": 0},
        {"image_px": 230},
        {"patch_px": -16},
        {"channels": 384.0},
        {"blocks": True},
        {"token_hidden": "192"},
        {"channel_hidden": 0},
        {"in_chans": 0},
        {"num_classes": -1},
        {"mlp": "relu"},
    ],
    ids=str,
)
def test_bad_model_values(wrong):
    assert_says_got_and_way_out(MODEL, wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_px": 0},
        {"image_px": 224.0},
        {"in_chans": 0},
        {"interpolation": "random"},
        {"crop_mode": "centre"},
        {"crop_fraction": 0},
        {"crop_fraction": 1.01},
        {"crop_fraction": float("nan")},
        {"mean": (0.5,)},
        {"std": (0.5, 0.5, 0.0)},
    ],
    ids=str,
)
def test_bad_data_values(wrong):
    assert_says_got_and_way_out(DATA, wrong)


def assert_says_got_and_way_out(config: ModelConfig | DataConfig, wrong: dict) -> None:
    [(name, value)] = wrong.items()
    with pytest.raises(InputError, match=r"wanted|take") as caught:
        replace(config, **wrong)
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, GmixerError)
    assert name in str(caught.value) and str(value) in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"input_size": 224},
        {"input_size": (3, 224, 192)},
        {"mean": (0.5,)},
        {"mean": ("a", "b", "c")},
        {"std": None},
        {"interpolation": "lanczos"},
    ],
    ids=str,
)
def test_from_timm_refuses(wrong):
    with pytest.raises(InputError):
        DataConfig.from_timm({**DATA.to_timm(), **wrong} if wrong else {})


def test_from_timm_and_back():
    assert DataConfig.from_timm(DATA.to_timm()) == DATA
    as_json = {key: list(v) if isinstance(v, tuple) else v for key, v in DATA.to_timm().items()}
    assert DataConfig.from_timm({**as_json, "architecture": "gmixer_24_224"}) == DATA


def test_resize_px():
    assert (DATA.resize_px, VARIANTS["gmixer_8_64"].data.resize_px) == (256, 72)
