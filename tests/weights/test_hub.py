"""Repositories on the Hub, against a server on loopback: what is asked of it, what the user reads, what is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import try_to_load_from_cache
from safetensors.numpy import save_file
from timm.models import save_for_hf

import gmixer
from gmixer.catalogue import VARIANTS, find_model
from gmixer.errors import InputError, WeightsError
from gmixer.options import WeightsSource
from gmixer.weights.find import find_checkpoint
from gmixer.weights.hub import Repo, cached
from hub import COMMIT, Hub, client_environment, hub_cache, hub_server, use_in_this_process

SMALL = "hf-hub:someone/small"
# The library waits seconds between its tries: not in a test.
WITHOUT_WAITING = "import time; time.sleep = lambda seconds: None; from gmixer.cli import main; main()"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A model of three classes, as timm's own save_for_hf writes it."""
    folder = tmp_path_factory.mktemp("small")
    model = timm.create_model("gmixer_12_224", num_classes=3)
    config = {"label_names": ["ant", "bee", "cat"]}
    save_for_hf(model, folder, model_config=config, safe_serialization=True)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(repository: dict[str, bytes]) -> Iterator[Hub]:
    with hub_server() as server:
        server.files["someone/small"] = dict(repository)
        yield server


@pytest.fixture
def run(hub: Hub, tmp_path: Path):
    """Runs the command with this Hub and an empty cache; forgets the requests that were made before."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        hub.requests.clear()
        own = client_environment(hub, tmp_path / "cache") | environment
        command = [sys.executable, "-c", WITHOUT_WAITING, *map(str, arguments)]
        return subprocess.run(command, env=own, capture_output=True, text=True, timeout=60)

    return run


def asked(hub: Hub) -> list[tuple[str, str]]:
    """(method, file) of the requests for files."""
    return [(method, path.rpartition("/")[2]) for method, path in hub.requests if "/resolve/" in path]


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1]


def test_cold_then_warm_then_offline(run, hub: Hub, repository: dict[str, bytes], photos: list[Path]) -> None:
    pulled = run("pull", SMALL)
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert asked(hub) == [(m, file) for file in ("config.json", "model.safetensors") for m in ("HEAD", "GET")]
    line, path = pulled.stdout.strip().split(" in ")
    size_mib = len(repository["model.safetensors"]) / 2**20
    assert line == f"{SMALL}: {size_mib:.1f} MiB, checked,"
    assert Path(path).read_bytes() == repository["model.safetensors"]

    warm = run("classify", photos[0], "--model", SMALL)
    assert (warm.returncode, warm.stderr, hub.requests) == (0, "", [])
    assert "bee" in warm.stdout

    offline = run("classify", photos[0], "--model", SMALL, HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout, hub.requests) == (0, warm.stdout, [])

    again = run("pull", SMALL)
    assert (again.stdout, asked(hub)) == (pulled.stdout, [("HEAD", "config.json")])


def test_classify_fetches_at_its_first_use(run, hub: Hub, photos: list[Path]) -> None:
    done = run("classify", photos[0], "--json", "--model", SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert hub.counted["GET"] == 2 and '"label": "ant"' in done.stdout


def test_offline_and_cold_is_one_sentence(run, hub: Hub, photos: list[Path], tmp_path: Path) -> None:
    done = run("classify", photos[0], "--model", SMALL, HF_HUB_OFFLINE="1")
    assert (done.returncode, done.stdout, hub.requests) == (2, "", [])
    assert done.stderr == (
        f"gmixer: {SMALL}: config.json is not on this machine (looked in {tmp_path / 'cache'}), and HF_HUB_OFFLINE "
        f"forbids fetching; unset it and run gmixer pull {SMALL}, or pass the folder or the .safetensors file that "
        f"holds it\n"
    )


@pytest.mark.parametrize("spoilt", ["config.json", "model.safetensors"])
def test_wrong_bytes_of_the_right_size_are_refused_and_deleted(
    spoilt: str, run, hub: Hub, repository: dict[str, bytes], tmp_path: Path
) -> None:
    hub.spoil = lambda body: body[:-1] + b"?" if body == repository[spoilt] else body
    done = run("pull", SMALL)
    assert done.returncode == 2
    assert f"{spoilt} arrived damaged, and was deleted: its checksum is" in done.stderr
    assert "fetch it again: gmixer pull" in done.stderr
    assert not list((tmp_path / "cache").rglob(spoilt))
    hub.spoil = lambda body: body
    assert run("pull", SMALL).returncode == 0
    assert ("GET", spoilt) in asked(hub)


def test_pull_finds_what_was_damaged_in_the_cache(run, hub: Hub, tmp_path: Path) -> None:
    assert run("pull", SMALL).returncode == 0
    (weights,) = (tmp_path / "cache").rglob("model.safetensors")
    with open(weights, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"?")
    assert "model.safetensors arrived damaged" in run("pull", SMALL).stderr
    assert run("pull", SMALL).returncode == 0


@pytest.mark.parametrize(("after_bytes", "resumed_at"), [(5_000_000, []), (10_600_000, ["bytes=10485760-"])])
def test_a_connection_that_drops_is_taken_up_again(
    after_bytes: int, resumed_at: list[str], run, hub: Hub, repository: dict[str, bytes], tmp_path: Path
) -> None:
    """At the last whole piece of 10 MiB that has arrived."""
    hub.cut_after = after_bytes
    done = run("pull", SMALL)
    assert done.returncode == 0 and "Trying to resume download" in done.stderr
    assert hub.ranges == resumed_at
    (weights,) = (tmp_path / "cache").rglob("model.safetensors")
    assert weights.read_bytes() == repository["model.safetensors"]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_hub_that_asks_for_patience_gets_it(method: str, run, hub: Hub) -> None:
    refusals = iter([(429, ""), (429, "")])
    hub.refuse = lambda m, path: next(refusals, None) if m == method and "/resolve/" in path else None
    done = run("pull", SMALL)
    assert done.returncode == 0 and "checked" in done.stdout
    assert next(refusals, None) is None and "429" in done.stderr


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((401, "GatedRepo"), "access needs the owner's permission: ask at {hub}/someone/small, then set HF_TOKEN"),
        ((403, "GatedRepo"), "access needs the owner's permission: ask at {hub}/someone/small, then set HF_TOKEN"),
        ((401, "RepoNotFound"), "{hub} has no such repository, or a private one; check the name, or set HF_TOKEN"),
        ((401, ""), "{hub} answered 401 Unauthorized when asked for config.json; set HF_TOKEN to a valid token"),
        ((403, ""), "{hub} answered 403 Forbidden when asked for config.json; set HF_TOKEN to a token that may read"),
        ((429, ""), "{hub} answered 429 Too Many Requests when asked for config.json; try again in a few minutes"),
        ((503, ""), "{hub} answered 503 Service Unavailable when asked for config.json; try again in a few minutes"),
    ],
    ids=str,
)
def test_refusals(refusal: tuple[int, str], words: str, run, hub: Hub) -> None:
    hub.refuse = lambda method, path: refusal
    done = run("pull", SMALL)
    assert (done.returncode, done.stdout) == (2, "")
    assert last_line(done).startswith(f"gmixer: {SMALL}: {words.format(hub=hub.endpoint)}")


def test_what_is_not_there(run, hub: Hub) -> None:
    assert f"someone/else: {hub.endpoint} has no such repository" in run("pull", "hf-hub:someone/else").stderr
    no_revision = run("pull", f"{SMALL}@dev").stderr
    assert f"{SMALL}@dev: {hub.endpoint} has no revision 'dev' of it; correct @dev, or leave it out" in no_revision
    del hub.files["someone/small"]["model.safetensors"]
    assert f"the repository holds no model.safetensors on {hub.endpoint}; take another" in run("pull", SMALL).stderr
    assert run("pull", SMALL).returncode == 2


def test_no_server_answers(run, hub: Hub) -> None:
    done = run("pull", SMALL, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr == (
        f"gmixer: {SMALL}: config.json could not be fetched: http://127.0.0.1:9 cannot be reached: the connection is "
        f"refused; check the connection, the proxy (HTTPS_PROXY) and HF_ENDPOINT\n"
    )


def test_a_cache_that_cannot_be_written(run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    done = run("pull", SMALL, HF_HUB_CACHE=str(tmp_path / "file"))
    assert done.returncode == 2
    assert "config.json could not be stored" in last_line(done) and "set HF_HUB_CACHE" in last_line(done)


def test_the_token_goes_to_the_hub(run, hub: Hub) -> None:
    assert run("pull", SMALL, HF_TOKEN="hf_mine").returncode == 0
    with_token = {path for (_, path), token in zip(hub.requests, hub.tokens, strict=True) if token == "Bearer hf_mine"}
    assert with_token == {path for _, path in hub.requests if path != "/"}, "the first question needs no token"


def test_a_branch_and_one_that_moves_on_meanwhile(run, hub: Hub, tmp_path: Path) -> None:
    """Both files are of the commit that the configuration came from."""
    hub.branches = ("main", "dev")
    assert run("pull", f"{SMALL}@dev").returncode == 0
    weights = [path for method, path in hub.requests if path.endswith(".safetensors")]
    assert weights == [f"/someone/small/resolve/{COMMIT}/model.safetensors"] * 2
    checkpoint = find_checkpoint(f"{SMALL}@dev", WeightsSource(cache_dir=tmp_path / "cache"))
    assert (checkpoint.name, checkpoint.class_names) == (f"{SMALL}@dev", ("ant", "bee", "cat"))
    with pytest.raises(WeightsError, match=f"{SMALL}: config.json is not on this machine .* gmixer pull {SMALL}"):
        find_checkpoint(SMALL, WeightsSource(cache_dir=tmp_path / "cache"))


def test_the_cache_is_read_as_the_library_reads_it(run, tmp_path: Path) -> None:
    assert run("pull", SMALL).returncode == 0
    for revision in (None, "main", COMMIT, "dev"):
        for name in ("config.json", "model.safetensors", "README.md"):
            ours = cached(Repo("someone/small", revision), name, cache_dir=tmp_path / "cache")
            theirs = try_to_load_from_cache("someone/small", name, revision=revision, cache_dir=tmp_path / "cache")
            assert (str(ours) if ours else None) == (theirs if isinstance(theirs, str) else None)


def test_create_model_is_timms_from_the_same_repository(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pretrained=True only the configuration is fetched."""
    use_in_this_process(hub, tmp_path / "cache", monkeypatch)
    assert gmixer.create_model("hf-hub:someone/small").num_classes == 3
    ours = gmixer.create_model("HF_hub:someone/small", pretrained=True).eval()
    theirs = timm.create_model("hf-hub:someone/small", pretrained=True).eval()
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours(x), theirs(x))
    keys = ("hf_hub_id", "source", "num_classes", "input_size", "architecture")
    assert {key: ours.pretrained_cfg[key] for key in keys} == {key: theirs.pretrained_cfg[key] for key in keys}
    assert (
        list(ours.pretrained_cfg["label_names"]) == list(theirs.pretrained_cfg["label_names"]) == ["ant", "bee", "cat"]
    )
    row = {"hf_hub_id": "someone/small", "num_classes": 3}
    assert gmixer.create_model("gmixer_12_224", pretrained_cfg_overlay=row).num_classes == 3
    assert asked(hub)[:2] == [("HEAD", "config.json"), ("GET", "config.json")]
    assert [file for method, file in asked(hub) if method == "GET"] == ["config.json", "model.safetensors"]


@pytest.fixture(scope="module")
def preferred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of gmixer_24_224's real shape, all zero: every class is as probable."""
    path = tmp_path_factory.mktemp("preferred") / "model.safetensors"
    _, variant, _ = find_model("gmixer_24_224.ra3_in1k")
    save_file({name: np.zeros(shape, np.float16) for name, shape in variant.model.tensor_shapes().items()}, path)
    return path


@pytest.mark.slow
def test_auto_takes_the_better_model_where_it_is_cached_and_never_asks(
    run, hub: Hub, preferred: Path, photos: list[Path], tmp_path: Path
) -> None:
    hub.files["timm/gmixer_24_224.ra3_in1k"] = {"model.safetensors": preferred.read_bytes()}
    small_top1 = VARIANTS["gmixer_8_64"].pretrained["distill_in1k"].top1
    small = run("classify", photos[0])
    assert (small.returncode, hub.requests) == (0, [])
    assert small.stderr == (
        f"The small built-in gmixer_8_64.distill_in1k answers ({small_top1:.0f} % top-1 on tiny-ImageNet); "
        "better, with 78 % on ImageNet-1k: gmixer pull gmixer_24_224.ra3_in1k\n"
    )
    assert "gmixer_8_64.distill_in1k" in run("info").stdout

    pulled = run("pull", "gmixer_24_224.ra3_in1k")
    assert pulled.stdout.startswith("gmixer_24_224.ra3_in1k: 47.") and asked(hub)[0] == ("HEAD", "model.safetensors")

    large = run("classify", photos[0])
    assert (large.returncode, hub.requests) == (0, [])
    assert large.stderr == (
        "gmixer_24_224.ra3_in1k answers (78 % top-1 on ImageNet-1k); "
        f"the small built-in gmixer_8_64.distill_in1k has {small_top1:.0f} % on tiny-ImageNet.\n"
    )
    assert "0.0010 tench" in large.stdout
    assert "gmixer_24_224.ra3_in1k" in run("info").stdout and hub.requests == []


def test_load_by_name_finds_the_cache(preferred: Path, tmp_path: Path) -> None:
    cache = hub_cache(tmp_path, "timm/gmixer_24_224.ra3_in1k", preferred)
    assert find_checkpoint("gmixer_24_224", WeightsSource(cache_dir=cache)).name == "gmixer_24_224.ra3_in1k"


def test_pull_of_what_needs_none(run, hub: Hub, tmp_path: Path) -> None:
    built_in = run("pull", "gmixer_8_64")
    assert built_in.stdout == "gmixer_8_64.distill_in1k is in this package; there is nothing to fetch\n"
    assert "for the repository on the Hub say hf-hub:someone/small" in run("pull", "someone/small").stderr
    assert "never published with weights" in run("pull", "gmixer_12_224").stderr
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "repo"),
    [
        ("hf-hub:timm/gmixer_24_224.ra3_in1k", Repo("timm/gmixer_24_224.ra3_in1k")),
        ("hf_hub:a/b@v1.0", Repo("a/b", "v1.0")),
        ("HF-Hub:a/b@refs/pr/1", Repo("a/b", "refs/pr/1")),
        ("gmixer_24_224", None),
        ("local-dir:a/b", None),
    ],
)
def test_repository_names(name: str, repo: Repo | None) -> None:
    assert Repo.parse(name) == repo


@pytest.mark.parametrize(
    "name", ["", "a", "a/", "/b", "a/b/c", "a/b@", "a/b@../x", "../b", "a/..", "a b/c", "a/b@x@y", "https://x/y"]
)
def test_names_that_are_no_repository(name: str) -> None:
    with pytest.raises(InputError, match=r"is no repository; wanted hf-hub:organization/model"):
        Repo.parse(f"hf-hub:{name}")


def test_a_repository_without_its_prefix_is_told_so() -> None:
    with pytest.raises(WeightsError, match=r"someone/small: no such file or folder; .* say hf-hub:someone/small"):
        gmixer.load("someone/small")


def test_local_dir_is_a_folder(repository: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in repository.items():
        (tmp_path / name).write_bytes(content)
    assert find_checkpoint(f"Local-Dir:{tmp_path}").class_names == ("ant", "bee", "cat")


def test_a_repository_is_converted_with_its_card_and_the_folder_is_a_repository_again(
    run, hub: Hub, tmp_path: Path, photos: list[Path]
) -> None:
    without = run("convert", SMALL, "-o", tmp_path / "without", "--precision", "bf16")
    assert without.returncode == 0, without.stderr
    assert (tmp_path / "without" / "README.md").read_text().endswith("\n\n# without\n")
    hub.files["someone/small"]["README.md"] = b"---\nlicense: mit\n---\n\n# Ants and bees\n"
    done = run("convert", SMALL, "-o", tmp_path / "int8", "--precision", "int8")
    assert done.returncode == 0 and done.stdout == f"{tmp_path / 'int8'}: 12.9 MiB in int8\n", done.stderr
    card = (tmp_path / "int8" / "README.md").read_text()
    assert f"made them from {SMALL} (model.safetensors" in card and card.endswith("# Ants and bees\n")

    hub.files["someone/int8"] = {path.name: path.read_bytes() for path in (tmp_path / "int8").iterdir()}
    answered = run("classify", photos[0], "--model", "hf-hub:someone/int8", "--json")
    row = json.loads(answered.stdout)
    assert (row["precision"], row["model"]) == ("int8", "hf-hub:someone/int8") and len(row["predictions"]) == 3
    refused = run("classify", photos[0], "--model", "hf-hub:someone/int8", "--runtime", "torch")
    assert refused.returncode == 2 and f"or load the original, {SMALL}" in last_line(refused)
