"""The queries on the table of models, against timm's own registry."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import timm

import gmixer
from gmixer.catalogue import DEPRECATED, VARIANTS
from gmixer.errors import UnknownModelError
from gmixer.timm_compat import registry

OWN = "gmixer_8_64*"  # timm does not know it

TIMMS = [name for name in VARIANTS if name != "gmixer_8_64"]
NAMES = [
    *TIMMS,
    *(f"{base}.{tag}" for base in TIMMS for tag in (*VARIANTS[base].pretrained, "untrained", "nonsense", "")),
    "gmixer_24_224.ra3_in1k.more",
    *DEPRECATED,
    *(f"{name}.goog_in21k" for name in DEPRECATED),
    "gmixer_99",
    "gmixer_99.ra3_in1k",
    "Gmixer_24_224",
    "",
]


def timm_family(names: list[str]) -> list[str]:
    """timm's own Mixers; gmixer_8_64 is there only if another test has registered it."""
    return [name for name in names if name.startswith(("mixer_", "gmixer_")) and not name.startswith("gmixer_8_64")]


def outcome(ask: Callable[..., Any], *arguments: object) -> Any:
    """The answer, or RuntimeError: timm's KeyError of an unknown model is meant as one, and ours always is."""
    try:
        return ask(*arguments)
    except UnknownModelError as error:
        assert isinstance(error, RuntimeError)
        return RuntimeError
    except (RuntimeError, KeyError):
        assert ask.__module__.startswith("timm.")
        return RuntimeError


def told(cfg: Any) -> Any:
    """A pretrained cfg of either as a dictionary, without the URL, which gmixer's table has not."""
    return cfg.to_dict() | {"url": ""} if hasattr(cfg, "to_dict") else cfg


QUERIES = [
    "list_models",
    "list_pretrained",
    "list_modules",
    "is_model",
    "is_model_in_modules",
    "is_model_pretrained",
    "model_entrypoint",
    "get_pretrained_cfg",
    "get_pretrained_cfg_value",
    "get_arch_pretrained_cfgs",
]


@pytest.mark.parametrize("query", QUERIES)
def test_parameters_are_timms(query: str) -> None:
    """Names, order, defaults, and that all may be given by position."""
    ours, theirs = (inspect.signature(getattr(home, query)).parameters.values() for home in (registry, timm.models))
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pretrained", [False, True])
@pytest.mark.parametrize("include_tags", [None, False, True])
@pytest.mark.parametrize(
    "filter",
    [
        "",
        None,
        "gmixer*",
        "mixer_b16_224",
        "mixer_b16_224.",
        "mixer_b16_224.*",
        "*in21k",
        "*miil*",
        "GMIXER*",
        [],
        [""],
        ["mixer_l*", "gmixer_2*"],
        ("mixer_[ls]*",),
    ],
)
@pytest.mark.parametrize("exclude", ["", None, [""], "*miil*", ["mixer_l16_224", "gmixer*"], "*.untrained"])
def test_lists_equal_timms(pretrained: bool, include_tags: bool | None, filter: Any, exclude: Any) -> None:
    arguments = (filter, "", pretrained, exclude, False, include_tags)
    ours = [name for name in registry.list_models(*arguments) if not name.startswith("gmixer_8_64")]
    assert ours == timm_family(timm.list_models(*arguments))


@pytest.mark.parametrize("module", ["", None, "mlp_mixer", "resnet", ["resnet", "mlp_mixer"], ["nonsense"], []])
@pytest.mark.parametrize("name_matches_cfg", [False, True])
@pytest.mark.parametrize("include_tags", [False, True])
def test_modules_of_lists_equal_timms(module: Any, name_matches_cfg: bool, include_tags: bool) -> None:
    arguments = ("*mixer_*", module, False, OWN, name_matches_cfg, include_tags)
    assert registry.list_models(*arguments) == timm_family(timm.list_models(*arguments))


def test_own_model_is_listed() -> None:
    assert registry.list_models("gmixer*") == ["gmixer_8_64", "gmixer_12_224", "gmixer_24_224"]
    assert "gmixer_8_64.distill_in1k" in registry.list_pretrained("gmixer_8*")


@pytest.mark.parametrize(("filter", "exclude"), [("", OWN), ("mixer*", "*goog*"), ("*in21k", ["mixer_l*"]), ("x", "")])
def test_list_pretrained_equals_timms(filter: Any, exclude: Any) -> None:
    assert registry.list_pretrained(filter, exclude) == timm_family(timm.list_pretrained(filter, exclude))


def test_module() -> None:
    assert registry.list_modules() == ["mlp_mixer"]
    assert "mlp_mixer" in timm.list_modules()


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_names_equal_timms(name: str) -> None:
    assert registry.is_model(name) == timm.models.is_model(name)
    assert registry.is_model_pretrained(name) == timm.models.is_model_pretrained(name)
    for modules in ("mlp_mixer", "resnet", "", "mlp", [], ["resnet", "mlp_mixer"], ("resnet",)):
        ours = registry.is_model_in_modules(name, modules)
        assert ours == timm.models.is_model_in_modules(name, modules), modules


@pytest.mark.parametrize("name", NAMES)
def test_pretrained_cfgs_equal_timms(name: str) -> None:
    for allow in (True, False):
        ours, theirs = (outcome(home.get_pretrained_cfg, name, allow) for home in (registry, timm.models))
        assert told(ours) == told(theirs), allow
    for key in ("mean", "tag", "hf_hub_id", "license", "nonsense"):
        values = [outcome(home.get_pretrained_cfg_value, name, key) for home in (registry, timm.models)]
        assert values[0] == values[1], key
    of_arch, theirs = (home.get_arch_pretrained_cfgs(name) for home in (registry, timm.models))
    assert [(key, told(cfg)) for key, cfg in of_arch.items()] == [(key, told(cfg)) for key, cfg in theirs.items()]


def test_cfg_of_own_model() -> None:
    cfg = registry.get_pretrained_cfg("gmixer_8_64")
    assert cfg is not None and (cfg.tag, cfg.input_size) == ("distill_in1k", (3, 64, 64))
    assert registry.get_arch_pretrained_cfgs("gmixer_8_64") == {"gmixer_8_64.distill_in1k": cfg}
    assert registry.get_pretrained_cfg_value("gmixer_8_64.distill_in1k", "crop_pct") == 0.888


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: registry.get_pretrained_cfg("mixer_b16_224.x"), r"'x'; there are .*mixer_b16_224\.miil_in21k,"),
        (lambda: registry.get_pretrained_cfg("gmixer_12_224.x"), r"'x'; there are gmixer_12_224\.untrained"),
        (lambda: registry.get_pretrained_cfg("gmixer_24", False), "closest are gmixer_24_224"),
        (lambda: registry.get_pretrained_cfg_value("gmixer_24.x", "mean"), "closest are gmixer_24_224"),
        (lambda: registry.get_pretrained_cfg("mixer_b16_224_miil", False), r"take mixer_b16_224\.miil_in21k_ft_in1k"),
        (lambda: registry.model_entrypoint("gmixer_24"), "closest are gmixer_24_224"),
        (lambda: registry.model_entrypoint("gmixer_24", "mlp_mixer"), "closest are gmixer_24_224"),
        (lambda: registry.model_entrypoint("gmixer_24_224", "resnet"), "'resnet'.*are in mlp_mixer"),
    ],
)
def test_errors_name_what_exists(ask: Callable[[], object], says: str) -> None:
    with pytest.raises(UnknownModelError, match=says):
        ask()


# --- entry points ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("module", [None, "", "mlp_mixer", "resnet"])
def test_entrypoints_exist_where_timms_do(name: str, module: str | None) -> None:
    ours, theirs = (outcome(home.model_entrypoint, name, module) for home in (registry, timm.models))
    assert callable(ours) and callable(theirs)
    assert (ours is RuntimeError) == (theirs is RuntimeError)


@pytest.mark.parametrize(
    "name", ["gmixer_24_224", "gmixer_24_224.nonsense", "mixer_b16_224.goog_in21k", "mixer_s32_224"]
)
def test_entrypoint_builds_the_variant_as_timms(name: str) -> None:
    ours, theirs = (home.model_entrypoint(name)(False, in_chans=1, device="meta") for home in (registry, timm.models))
    assert {key: t.shape for key, t in ours.state_dict().items()} == {
        key: t.shape for key, t in theirs.state_dict().items()
    }
    assert ours.pretrained_cfg["architecture"] == theirs.pretrained_cfg["architecture"]
    assert ours.num_classes == theirs.num_classes == 1000


@pytest.mark.parametrize("name", DEPRECATED)
def test_entrypoint_of_a_deprecated_name(name: str) -> None:
    build, theirs = registry.model_entrypoint(name), timm.models.model_entrypoint(name)  # neither warns yet
    with pytest.warns(UserWarning, match=DEPRECATED[name]):
        ours_tag = build(device="meta").pretrained_cfg["tag"]
    with pytest.warns(UserWarning, match=DEPRECATED[name]):
        assert theirs(device="meta").pretrained_cfg["tag"] == ours_tag == DEPRECATED[name].partition(".")[2]


def test_entrypoint_loads_weights() -> None:
    build = pickle.loads(pickle.dumps(registry.model_entrypoint("gmixer_8_64")))
    ours, made = build(pretrained=True), gmixer.create_model("gmixer_8_64", pretrained=True)
    assert all(a.equal(b) for a, b in zip(ours.state_dict().values(), made.state_dict().values(), strict=True))


# --- no torch --------------------------------------------------------------------------------------------------------

QUIET = "sys.modules.update(torch=None); "  # as if it were not installed


@pytest.mark.parametrize(
    "program",
    [
        "gmixer.list_models(); gmixer.model_entrypoint('gmixer_24_224'); assert 'torch' not in sys.modules",
        "gmixer.list_models(); assert 'numpy' not in sys.modules",
        QUIET + "[gmixer.get_pretrained_cfg(name) for name in gmixer.list_models(include_tags=True)]",
    ],
)
def test_queries_need_no_torch(program: str) -> None:
    subprocess.run([sys.executable, "-c", "import gmixer, sys; " + program], check=True)


def test_entrypoint_asks_for_torch_when_called() -> None:
    program = f"""
import gmixer, sys
{QUIET}
build = gmixer.model_entrypoint("gmixer_24_224")
try:
    build()
except gmixer.MissingExtraError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout.strip() == "gmixer.create_model needs torch: pip install 'gmixer[torch]'"


def test_top_level_names_are_these() -> None:
    for name in QUERIES:
        assert not hasattr(timm, name) or getattr(gmixer, name) is getattr(registry, name), name


def test_names_are_all() -> None:
    """The comparisons above go over every variant and tag that timm lists."""
    listed = timm_family(timm.list_models("*mixer_*", include_tags=True))
    assert len(listed) == 12 and set(listed) <= set(NAMES)
