"""on_ray.py: a real cluster of several nodes on this machine makes the bytes of one process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gmixer
from benchmarks.kill_embed import draw_photos, files_of
from gmixer.bulk import PartOptions, Ray, Tally
from gmixer.errors import EngineError, InputError, MissingExtraError

MODEL = "gmixer_8_64.distill_in1k"
COUNT, SIZE = 120, 10
STORE = {"object_store_memory": 80 * 2**20}
QUICK = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 2}
slow = pytest.mark.slow


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in") / "pictures"
    draw_photos(folder, COUNT)
    return folder


@pytest.fixture(scope="module")
def whole(pictures: Path, predictor: gmixer.Predictor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    gmixer.bulk.embed(pictures, out, model=predictor, parts=PartOptions(part_size=SIZE))
    return files_of(out)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors, and one node with one."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK, **STORE}
    found = Cluster(initialize_head=True, head_node_args=head)
    found.add_node(num_cpus=1, **STORE)
    yield found
    found.shutdown()


@contextmanager
def more_nodes(cluster: Any, count: int) -> Iterator[list[Any]]:
    nodes = [cluster.add_node(num_cpus=1, **STORE) for _ in range(count)]
    try:
        yield nodes
    finally:
        for node in nodes:
            if node in cluster.worker_nodes:
                cluster.remove_node(node, allow_graceful=False)


def on(cluster: Any, **options: Any) -> PartOptions:
    return PartOptions(part_size=SIZE, on=Ray(address=cluster.address, **options))


def test_without_ray_the_extra_is_named(
    pictures: Path, predictor: gmixer.Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"--on ray needs ray: pip install 'gmixer\[ray\]'"):
        gmixer.bulk.embed(pictures, tmp_path / "out", model=predictor, parts=PartOptions(on=Ray()))


@pytest.mark.parametrize("wrong", [{"actors": 0}, {"threads": 0}])
def test_wrong_options_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Ray(**wrong)  # type: ignore[arg-type]


@slow
def test_one_two_and_four_nodes_make_the_same_bytes(
    pictures: Path, whole: dict[str, bytes], predictor: gmixer.Predictor, cluster: Any, tmp_path: Path
) -> None:
    tallies: list[Tally] = []
    gmixer.bulk.embed(pictures, tmp_path / "1", model=predictor, parts=on(cluster), on_progress=tallies.append)
    with more_nodes(cluster, 1):
        gmixer.bulk.embed(pictures, tmp_path / "2", model=predictor, parts=on(cluster))
        with more_nodes(cluster, 2):
            gmixer.bulk.embed(pictures, tmp_path / "4", model=predictor, parts=on(cluster))
    assert all(files_of(tmp_path / out) == whole for out in "124")
    tally = tallies[-1]
    assert (tally.rows, tally.parts, tally.failed) == (COUNT, COUNT // SIZE, {"corrupt": COUNT // 10})


@slow
def test_the_parts_of_a_killed_node_are_made_by_others(
    pictures: Path, whole: dict[str, bytes], predictor: gmixer.Predictor, cluster: Any, tmp_path: Path
) -> None:
    with more_nodes(cluster, 1) as (node,):

        def kill(tally: Tally) -> None:
            if node in cluster.worker_nodes and tally.parts >= 2:
                cluster.remove_node(node, allow_graceful=False)

        gmixer.bulk.embed(pictures, tmp_path / "out", model=predictor, parts=on(cluster), on_progress=kill)
        assert node not in cluster.worker_nodes
    assert files_of(tmp_path / "out") == whole


@slow
def test_a_killed_driver_is_run_again_and_makes_the_missing_parts(
    pictures: Path, whole: dict[str, bytes], cluster: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gmixer", "embed", str(pictures), "-o", f"{out}/", "--model", MODEL]
    command += ["--part-size", str(SIZE), "--on", "ray"]
    environment = os.environ | {"RAY_ADDRESS": cluster.address}
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while driver.poll() is None and not list(out.glob("_gmixer/parts/*.json")):
        time.sleep(0.002)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    there = {path: path.stat().st_mtime_ns for path in (out / "_gmixer" / "parts").glob("*.json")}
    assert 0 < len(there) < COUNT // SIZE
    again = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert again.returncode == 1 and files_of(out) == whole
    assert {path: path.stat().st_mtime_ns for path in there} == there
    first, *rest = again.stderr.splitlines()
    assert first.startswith(f"{out}/: ") and len(rest) == 2, again.stderr  # no word of Ray
    assert f"{COUNT // 10} of {COUNT} could not be read" in first


def crash_at_poison() -> None:
    """Runs in each process of the cluster: a decoder dies of an image of 23 pixels width."""
    from gmixer.isolation.workers import PROGRAM, Workers

    harm = """
from PIL import JpegImagePlugin
true_load = JpegImagePlugin.JpegImageFile.load
def load(image):
    import os, signal
    if image.width == 23:
        os.kill(os.getpid(), signal.SIGSEGV)
    return true_load(image)
JpegImagePlugin.JpegImageFile.load = load
from gmixer"""
    Workers.__init__.__kwdefaults__["program"] = PROGRAM.replace("from gmixer", harm.strip(), 1)


@slow
def test_a_poisoned_image_costs_its_own_row(pictures: Path, cluster: Any, tmp_path: Path) -> None:
    import ray

    sources = tmp_path / "in"
    sources.mkdir()
    for i, path in enumerate(sorted(pictures.iterdir())[:9]):
        (sources / path.name).write_bytes(path.read_bytes())
        if i == 4:
            Image.new("RGB", (23, 20)).save(sources / path.name)
    isolated = gmixer.load(MODEL, isolate=True)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # the cluster cannot import this file
    ray.init(cluster.address, runtime_env={"worker_process_setup_hook": crash_at_poison}, logging_level="ERROR")
    try:
        stored = gmixer.bulk.embed(sources, tmp_path / "out", model=isolated, parts=on(cluster))
    finally:
        ray.shutdown()
    kinds = stored.table()["error_kind"].to_pylist()
    assert kinds == [None] * 4 + ["crashed"] + [None] * 4


@slow
def test_a_part_that_ends_every_actor_ends_the_run(
    pictures: Path, predictor: gmixer.Predictor, cluster: Any, tmp_path: Path
) -> None:
    import ray

    def die() -> None:
        from gmixer.bulk.on_ray import Maker

        Maker.make = lambda self, part, again: os._exit(1)  # type: ignore[method-assign]

    ray.init(cluster.address, runtime_env={"worker_process_setup_hook": die}, logging_level="ERROR")
    try:
        with pytest.raises(EngineError, match=r"has ended 3 actors of Ray.*--isolate"):
            gmixer.bulk.embed(pictures, tmp_path / "out", model=predictor, parts=on(cluster))
    finally:
        ray.shutdown()


def test_a_folder_that_the_machines_do_not_share_is_refused(pictures: Path, tmp_path: Path) -> None:
    from gmixer.bulk.on_ray import _check_shared
    from gmixer.bulk.record import Record
    from gmixer.sources.local import LocalFile

    here = Record("here", 1, None, None, LocalFile(str(next(pictures.iterdir()))))
    absent = Record("absent", 1, None, None, LocalFile(str(tmp_path / "absent.jpg")))
    _check_shared([absent, here])
    with pytest.raises(InputError, match=r"absent.jpg is not on .*wanted a folder that all machines share"):
        _check_shared([absent])
