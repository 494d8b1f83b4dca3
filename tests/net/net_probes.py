"""What the net records: one function for each part, which asks today's gmixer and returns plain JSON values.

Only public names are used, so that the net outlives every move of a module.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from importlib.metadata import files, version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

import gmixer
from net_inputs import PHOTOS, REPOSITORY, coloured, image_files, noise, png_of, uniform

MODEL = "gmixer_8_64.distill_in1k"
GMIXER = [sys.executable, "-m", "gmixer"]
Json = dict[str, Any]


def digest(data: bytes | NDArray[Any]) -> str:
    """The first 16 hexadecimal digits of SHA-256."""
    raw = np.ascontiguousarray(data).tobytes() if isinstance(data, np.ndarray) else data
    return hashlib.sha256(raw).hexdigest()[:16]


def of_array(array: NDArray[Any]) -> str:
    """Shape, type and hash in one line."""
    return f"{'x'.join(map(str, array.shape))} {array.dtype} {digest(array)}"


# --- pixels ---------------------------------------------------------------------------------------------------------

WHOLE_SIDE_PX = 640  # a longer image is recorded at the model's size alone
ISOLATED_EVERY = 3


def decoder_versions() -> Json:
    """What may change a decoder's or the resize's last bits."""
    names = {"jpg": "jpg", "turbo": "libjpeg_turbo", "webp": "webp", "avif": "avif", "tiff": "libtiff"}
    found = {name: str(features.version(feature)) for name, feature in names.items()}
    return {"pillow": version("pillow"), "simplejpeg": version("simplejpeg"), **found}


@cache
def predictor(**options: Any) -> gmixer.Predictor:
    return gmixer.load(MODEL, threads=1, **options)


@cache
def whole_image(side: int) -> Any:
    """A transform that neither resizes nor cuts: the decoded pixels, 0 … 1, around them black up to a square."""
    config = gmixer.DataConfig(
        image_px=side, crop_fraction=1.0, crop_mode="border", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    return gmixer.data.Preprocess(config)


def outcome(transform: Any, data: bytes) -> str:
    """Shape, type and hash of what the transform returns, or the error's kind."""
    try:
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of files that it finds odd
            return of_array(transform(data))
    except gmixer.ImageError as error:
        return f"error {error.kind}"


def longest_side(data: bytes) -> int | None:
    """By Pillow. None: it does not open the file, or the image is large."""
    try:
        with warnings.catch_warnings(action="ignore"):
            side = max(Image.open(BytesIO(data)).size)
    except Exception:
        return None
    return side if side <= WHOLE_SIDE_PX else None


def transforms_of(number: int, name: str, data: bytes) -> dict[str, Any]:
    """The transforms that this file is given to."""
    ways: dict[str, Any] = {"apply": predictor().transform, "ignore": predictor(orientation="ignore").transform}
    if number % ISOLATED_EVERY == 0:
        ways["isolated"] = predictor(isolate=True).transform
        ways["isolated, ignore"] = predictor(isolate=True, orientation="ignore").transform
    if "jpeg large" in name or name.startswith("photo"):
        ways["fast"] = predictor(fast_decode=True).transform
        ways["fast, isolated"] = predictor(fast_decode=True, isolate=True).transform
        ways["grey"] = predictor(in_chans=1).transform
        ways["96 px"] = predictor(image_px=96).transform
    if (side := longest_side(data)) is not None:
        ways["whole"] = whole_image(side)
        ways["opened"] = lambda data: predictor().transform(Image.open(BytesIO(data)))
    return ways


def pixels() -> Json:
    """Each file's tensor at the model's size and its whole pixels, or the error's kind; by every way of reading."""
    recorded: Json = {}
    for number, (name, data) in enumerate(image_files()):
        ways = transforms_of(number, name, data)
        recorded[name] = {"file": digest(data)} | {way: outcome(call, data) for way, call in ways.items()}
    return {"versions": decoder_versions(), "files": {name: folded(entry) for name, entry in recorded.items()}}


def folded(entry: Json) -> Json:
    """The same with one line for all ways that end alike: smaller, and as good."""
    lines: dict[str, list[str]] = {}
    for way, line in entry.items():
        lines.setdefault(line, []).append(way)
    return {"; ".join(ways): line for line, ways in lines.items()}


def unfolded(entry: Json) -> Json:
    return {way: line for ways, line in entry.items() for way in ways.split("; ")}


# --- the network ----------------------------------------------------------------------------------------------------

ISAS = ("avx512", "avx2", "neon", "scalar")
BATCHES = (1, 3, 16)
SMALL_MODELS = {
    "swiglu": gmixer.ModelConfig(
        image_px=48, patch_px=16, channels=48, blocks=3, token_hidden=20, channel_hidden=72, mlp="swiglu", num_classes=7
    ),
    "gelu": gmixer.ModelConfig(
        image_px=40, patch_px=8, channels=32, blocks=2, token_hidden=13, channel_hidden=50, mlp="gelu", num_classes=11
    ),
}


def must_run() -> set[str]:
    """The instruction sets that gmixer has to offer here, by what the kernel says of the CPU."""
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.exists() else set()
    wanted = {"avx512": {"avx512f"}, "avx2": {"avx2", "fma"}}
    return {"scalar"} | {isa for isa, names in wanted.items() if names <= flags}


def drawn_tensors(config: gmixer.ModelConfig) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Weights of about 1 / sqrt(inputs), scaled by powers of 2: exact on every machine."""
    for seed, (name, shape) in enumerate(config.tensor_shapes().items()):
        values = uniform(seed, shape)
        if len(shape) > 1:
            inputs = int(np.prod(shape[1:]))
            yield name, values * np.float32(2.0 ** -(inputs.bit_length() // 2 - 1))
        elif name.endswith("bias"):
            yield name, values * np.float32(0.25)
        else:
            yield name, 1 + values * np.float32(0.5)


def network(name: str, *, isa: str | None, threads: int) -> Any:
    """Something with forward(x, tokens=True): the embedded model or a drawn one."""
    if name == "embedded":
        return gmixer.load(MODEL, isa=isa, threads=threads)
    config = SMALL_MODELS[name]
    return gmixer.Engine(config, drawn_tensors(config), isa=isa, threads=threads)


def network_inputs(name: str) -> NDArray[np.float32]:
    side = 64 if name == "embedded" else SMALL_MODELS[name].image_px
    return 2 * uniform(99, (max(BATCHES), 3, side, side))


def of_network(name: str, *, isa: str | None, threads: int, batch: int) -> Json:
    output = network(name, isa=isa, threads=threads).forward(network_inputs(name)[:batch], tokens=True)
    return {"features": of_array(output.features), "logits": of_array(output.logits), "tokens": of_array(output.tokens)}


def logits_of(name: str, *, isa: str | None = None) -> list[float]:
    """A few numbers, for a machine whose instruction set is not recorded."""
    logits: NDArray[np.float32] = network(name, isa=isa, threads=1).forward(network_inputs(name)[:2]).logits
    return [float(f"{value:.6g}") for value in logits[:, :5].ravel()]


def networks() -> Json:
    recorded: Json = {"logits": {name: logits_of(name, isa="scalar") for name in ("embedded", *SMALL_MODELS)}}
    recorded["resized"] = resized_by("scalar")
    for isa in sorted(must_run()):
        recorded[isa] = {
            name: {str(batch): of_network(name, isa=isa, threads=1, batch=batch) for batch in BATCHES}
            for name in ("embedded", *SMALL_MODELS)
        }
    return recorded


def resized_by(isa: str) -> list[str]:
    """Tensors of images of several shapes, where $GMIXER_ISA names the resize's instruction set too."""
    program = (
        "import gmixer, net_inputs, net_probes\n"
        f"call = gmixer.load({MODEL!r}).transform\n"
        "for n, (h, w) in enumerate([(64, 64), (300, 200), (31, 500), (9, 7), (640, 481)]):\n"
        "    print(net_probes.of_array(call(net_inputs.noise(n, h, w))))\n"
    )
    given = filter(None, [os.environ.get("PYTHONPATH")])
    folders = os.pathsep.join([*given, str(Path(__file__).parent), str(Path(__file__).parents[1])])
    finished = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"GMIXER_ISA": isa, "PYTHONPATH": folders},
        check=True,
        capture_output=True,
        text=True,
    )
    return finished.stdout.splitlines()


# --- what the commands write ----------------------------------------------------------------------------------------

SYNSETS = ("n02123045", "n07920052", "n04008634", "n02883205")  # tabby, espresso, projectile, bow tie


def exp_probe() -> str:
    """Tells machines apart whose exp, in float64, differs in the last bit: probabilities hang on it."""
    return digest(np.exp(np.linspace(-30, 0, 4_001)))


def make_folders(root: Path) -> None:
    """photos/: images, one of them damaged, one no image. labelled/: a folder for each class."""
    photos, labelled = root / "photos", root / "labelled"
    (photos / "deep" / "er").mkdir(parents=True)
    for name in ("chelsea.png", "coffee.png"):
        (photos / name).write_bytes((PHOTOS / name).read_bytes())
    (photos / "deep" / "turned.png").write_bytes(png_of(noise(1, 50, 80), orientation=6))
    (photos / "deep" / "er" / "flat.bmp").write_bytes(b"".join(_bmp(noise(2, 33, 20))))
    (photos / "damaged.png").write_bytes(png_of(noise(3, 40, 40))[:900])
    (photos / "huge.ppm").write_bytes(b"P6 60000 60000 255\n")
    (photos / "notes.txt").write_text("no image")
    (photos / "page.png").write_text("<html>")
    for c, synset in enumerate(SYNSETS):
        (labelled / synset).mkdir(parents=True)
        for i in range(5):
            (labelled / synset / f"{i}.png").write_bytes(coloured(4 * i + c, 4))
    (labelled / SYNSETS[0] / "chelsea.png").write_bytes((PHOTOS / "chelsea.png").read_bytes())
    (labelled / SYNSETS[1] / "coffee.png").write_bytes((PHOTOS / "coffee.png").read_bytes())
    (labelled / SYNSETS[2] / "damaged.png").write_bytes(png_of(noise(4, 40, 40))[:900])
    (labelled / SYNSETS[3] / "turned.png").write_bytes(png_of(noise(5, 90, 40), orientation=8))


def _bmp(pixels_HWC: NDArray[np.uint8]) -> tuple[bytes]:
    out = BytesIO()
    Image.fromarray(pixels_HWC).save(out, "BMP")
    return (out.getvalue(),)


def command(*arguments: str, cwd: Path, stdin: bytes = b"") -> tuple[int, str, str]:
    """Exit status, stdout, stderr. On the scalar kernels, so that the numbers are every machine's."""
    finished = subprocess.run(
        [*GMIXER, *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        env=os.environ | {"GMIXER_ISA": "scalar", "COLUMNS": "200", "HF_HUB_OFFLINE": "1"},
        timeout=300,
    )
    return finished.returncode, finished.stdout.decode(), finished.stderr.decode()


WORDS = "<words>"  # in the place of a sentence for people, which may change
AS_NUMBERS = ("probability", "calibration_error")

CLASSIFY = ("classify", "--model", MODEL, "--threads", "1")
VALIDATE = ("validate", MODEL, "labelled", "--threads", "1")
# name → arguments, run in a folder that make_folders has filled. {out} is a new file.
COMMANDS: dict[str, tuple[str, ...]] = {
    "classify json": (*CLASSIFY, "photos", "photos/page.png", "missing.png", "--json", "-k", "3"),
    "classify csv": (*CLASSIFY, "photos", "photos/page.png", "--csv", "-k", "2", "--rollup-at", "0.6"),
    "classify pipe": (*CLASSIFY, "photos", "-k", "2", "--threshold", "0.05"),
    "classify rollup": (*CLASSIFY, "photos/chelsea.png", "--json", "-k", "1", "--rollup"),
    "classify ignore": (*CLASSIFY, "photos/deep", "--json", "-k", "1", "--orientation", "ignore"),
    "classify size": (*CLASSIFY, "photos/coffee.png", "--json", "-k", "1", "--image-size", "96"),
    "classify isolate": (*CLASSIFY, "photos", "--json", "-k", "1", "--isolate"),
    "classify stdin": (*CLASSIFY, "-", "--json", "-k", "1"),
    "classify two formats": (*CLASSIFY, "photos", "--json", "--csv"),
    "classify no model": ("classify", "photos", "--model", "no-such-model"),
    "classify no flag": ("classify", "photos", "--no-such-flag"),
    "embed": ("embed", "photos", "photos/page.png", "-o", "{out}.npz", "--model", MODEL, "--threads", "1"),
    "embed txt": ("embed", "photos", "-o", "{out}.txt", "--model", MODEL),
    "validate json": (*VALIDATE, "--json"),
    "validate csv": (*VALIDATE, "--json", "-o", "{out}.csv"),
    "validate jsonl": (*VALIDATE, "--json", "--orientation", "apply", "-o", "{out}.jsonl"),
    "validate parquet": (*VALIDATE, "--json", "-o", "{out}.parquet"),
    "validate set a": (*VALIDATE, "--set", "a", "--json"),
    "validate no data": ("validate", MODEL, "photos/notes.txt"),
    "validate txt": (*VALIDATE, "-o", "{out}.txt"),
    "doctor json": ("doctor", "--json"),
    "version": ("--version",),
}


def of_command(name: str, root: Path) -> Json:
    """Exit status, stdout and the file that the command wrote, without sentences for people."""
    arguments = tuple(argument.replace("{out}", "out") for argument in COMMANDS[name])
    stdin = (PHOTOS / "coffee.png").read_bytes() if name == "classify stdin" else b""
    status, stdout, stderr = command(*arguments, cwd=root, stdin=stdin)
    written = [root / argument for argument in arguments if argument.startswith("out.") and (root / argument).exists()]
    found: Json = {"status": status}
    if name == "doctor json":
        return {"columns": sorted({key for line in stdout.splitlines() for key in parsed_json(line)})}
    if "--json" in arguments:
        found["stdout"] = [without_words(parsed_json(line)) for line in stdout.splitlines()]
    elif "--csv" in arguments:
        found["stdout"] = csv_rows(stdout)
    elif name == "classify pipe":
        found["stdout"] = [re.sub("\terror\t.+", f"\terror\t{WORDS}", line) for line in stdout.splitlines()]
    elif stdout:
        found["stdout"] = stdout
    if status == 2 and not stderr.strip():
        found["stderr"] = "empty"
    for path in written:
        found[path.suffix] = of_written(path)
        path.unlink()
    return found


def parsed_json(line: str) -> Any:
    import json

    return json.loads(line)


def csv_rows(text: str) -> list[Json]:
    import csv

    return [without_words(row) for row in csv.DictReader(text.splitlines())]


def of_written(path: Path) -> Any:
    if path.suffix == ".npz":
        with np.load(path) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return {
            name: of_array(array)
            if name == "vectors"
            else {"kind": array.dtype.kind, "values": [WORDS] * len(array) if "messages" in name else array.tolist()}
            for name, array in arrays.items()
        }
    if path.suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(path)
        types = {field.name: str(field.type) for field in table.schema}
        return {"types": types, "rows": [without_words(row) for row in table.to_pylist()]}
    text = path.read_text()
    return csv_rows(text) if path.suffix == ".csv" else [without_words(parsed_json(line)) for line in text.splitlines()]


def without_words(value: Any, key: str = "") -> Any:
    """The same, with WORDS for each sentence that a person reads."""
    if isinstance(value, dict):
        return {name: without_words(inner, name) for name, inner in value.items()}
    if key == "notes":
        return [WORDS for _ in value]
    if isinstance(value, list):
        return [without_words(inner) for inner in value]
    sentence = key in ("message", "error_message", "error", "pipeline") and isinstance(value, str)
    return WORDS if sentence and value else value


def commands(root: Path) -> Json:
    make_folders(root)
    return {"exp": exp_probe(), "commands": {name: of_command(name, root) for name in COMMANDS}}


def differences(recorded: Any, found: Any, *, exact: bool, where: str = "") -> list[str]:
    """Each place where the two differ. exact: False lets probabilities differ by 1e-9, as other CPUs have them."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        if recorded.keys() != found.keys():
            return [f"{where}: keys {list(recorded)} are now {list(found)}"]
        if list(recorded) != list(found):
            return [f"{where}: keys come in another order: {list(recorded)} are now {list(found)}"]
        pairs = [(f"{where}.{key}", recorded[key], found[key]) for key in recorded]
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            return [f"{where}: {len(recorded)} items are now {len(found)}"]
        pairs = [(f"{where}[{i}]", old, new) for i, (old, new) in enumerate(zip(recorded, found, strict=True))]
    elif not exact and isinstance(recorded, float) and isinstance(found, float):
        return [] if abs(recorded - found) <= 1e-9 else [f"{where}: {recorded!r} is now {found!r}"]
    else:
        same = type(recorded) is type(found) and recorded == found
        return [] if same else [f"{where}: {recorded!r} is now {found!r}"]
    return [line for place, old, new in pairs for line in differences(old, new, exact=exact, where=place)]


# --- imported modules -----------------------------------------------------------------------------------------------

WORKER = """
import os, subprocess, sys, threading
import numpy
true_popen, read, write = subprocess.Popen, *os.pipe()
seen = []
class Popen(true_popen):
    def __init__(self, args, **options):
        if args[0] == sys.executable:  # the worker: have it say what it imports
            seen.append(args)
            args, options = [args[0], "-X", "importtime", *args[1:]], options | {"stderr": write}
        super().__init__(args, **options)
subprocess.Popen = Popen
said = []
reader = threading.Thread(target=lambda: said.append(os.fdopen(read, "rb").read()))
reader.start()
import gmixer
gmixer.load(sys.argv[1], isolate=True).classify(sys.argv[2:])
os.close(write)
import gc
gc.collect()
reader.join(30)
assert seen, "no worker was started"
sys.stderr.write(said[0].decode())
"""

STARTS: dict[str, list[str]] = {
    "import gmixer": ["-c", "import gmixer"],
    "gmixer --help": ["-m", "gmixer", "--help"],
    "gmixer --version": ["-m", "gmixer", "--version"],
    "gmixer classify": ["-m", "gmixer", "classify", "{photo}", "--model", MODEL],
    "gmixer classify --json": ["-m", "gmixer", "classify", "{photo}", "--model", MODEL, "--json"],
    "gmixer embed": ["-m", "gmixer", "embed", "{photo}", "-o", "{out}.npz", "--model", MODEL],
    "gmixer.load": ["-c", "import sys, gmixer; gmixer.load(sys.argv[1]).classify(sys.argv[2])", MODEL, "{photo}"],
    "isolated worker": ["-c", WORKER, MODEL, "{photo}", "{damaged}"],
}


def of_start(name: str, root: Path) -> Json:
    """What a fresh process imports beyond what bare Python does. gmixer's own modules are left out: they may move."""
    photo, damaged = PHOTOS / "rocket.jpg", root / "damaged.png"
    damaged.write_bytes(png_of(noise(3, 40, 40)))
    places = {"{photo}": str(photo), "{damaged}": str(damaged), "{out}": str(root / "out")}
    arguments = STARTS[name]
    for place, path in places.items():
        arguments = [argument.replace(place, path) if argument != WORKER else argument for argument in arguments]
    traced = [sys.executable, *([] if WORKER in arguments else ["-X", "importtime"]), *arguments]
    finished = subprocess.run(traced, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr[-2_000:]
    bare = [sys.executable, "-X", "importtime", *(["-I", "-S"] if WORKER in arguments else []), "-c", "pass"]
    before = subprocess.run(bare, capture_output=True, text=True, check=True)
    modules = imported(finished.stderr) - imported(before.stderr)
    assert any(module.partition(".")[0] == "gmixer" for module in modules), "the process did not import gmixer"
    others = {module for module in modules if module.partition(".")[0] not in ("gmixer", "__main__")}
    standard = {module for module in others if module.partition(".")[0] in sys.stdlib_module_names}
    return {
        "packages": sorted({module.partition(".")[0] for module in others - standard}),
        "standard library": " ".join(sorted(standard)),
    }


def imported(trace: str) -> set[str]:
    """The modules that `-X importtime` names."""
    lines = [line for line in trace.splitlines() if line.startswith("import time:") and "|" in line]
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


def python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def starts(root: Path) -> Json:
    return {python(): {name: of_start(name, root) for name in STARTS}}


# --- flags, names, files --------------------------------------------------------------------------------------------

# `gmixer bench --peers` leaves the package, and these flags with it.
NOT_OF_THE_PACKAGE = {"bench": {"--peers", "--only", "--against", "--photos", "--count", "--rounds"}}


def flags() -> Json:
    """Every command's flags and arguments, each with its type and default."""
    import typer

    from gmixer.cli import app

    group: Any = typer.main.get_command(app)
    levels = {"gmixer": group, **{f"gmixer {name}": command for name, command in group.commands.items()}}
    left_out = {f"gmixer {name}": flags for name, flags in NOT_OF_THE_PACKAGE.items()}
    return {name: _flags_of(level, left_out.get(name, set())) for name, level in levels.items()}


def _flags_of(level: Any, left_out: set[str]) -> Json:
    found: Json = {}
    arguments = [param for param in level.params if param.param_type_name == "argument"]
    for place, param in enumerate(arguments):
        found[f"argument {place}"] = _line(param)
    for param in level.params:
        if param.param_type_name == "option" and not left_out & set(param.opts):
            found[" ".join(sorted((*param.opts, *param.secondary_opts)))] = _line(param)
    return found


def _line(param: Any) -> str:
    kind, default = param.type, param.default
    described = kind.name
    if choices := getattr(kind, "choices", None):
        described = "|".join(map(str, choices))
    elif hasattr(kind, "min"):
        described += f" {kind.min}…{kind.max}"
    words = [described, f"default {getattr(default, 'value', default)!r}"]
    words += ["required"] if param.required else []
    words += ["repeated"] if param.multiple or param.nargs == -1 else []
    words += ["switch"] if getattr(param, "is_flag", False) else []
    return ", ".join(words)


def wheel_files() -> Json:
    """What the installed wheel holds beside Python modules: name → bytes. Folders may change."""
    listed = files("gmixer") or []
    own = [path for path in listed if not path.parts[0].startswith(("..", "gmixer-"))]
    code = (".py", ".pyc", ".pyi", ".so")
    data = [path for path in own if path.suffix not in code and "bench" not in path.parts]
    entry = next((path for path in listed if path.name == "entry_points.txt"), None)
    return {
        "packages": sorted({path.parts[0] for path in own}),
        "data": {path.name: path.size for path in sorted(data, key=lambda path: path.name)},
        "native modules": sorted(path.name.partition(".")[0] for path in own if path.suffix == ".so"),
        "licenses": sorted(path.name for path in listed if "licenses" in path.parts),
        "entry points": entry.read_text().split() if entry else [],
    }


CLASSES = ("DataConfig", "Embedding", "Engine", "Limits", "ModelConfig", "Output", "Prediction", "Predictor", "Result")
FOR_THE_COMMANDS = {"require_classes", "require_rollup"}  # no docs name them


def public_names() -> Json:
    """Names, how functions are called, what classes have, and what README's and docs' Python uses."""
    import inspect

    calls = {}
    for module in (gmixer, gmixer.data):
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and not inspect.isclass(value):
                calls[f"{module.__name__}.{name}"] = signature(value)
    for name in ("classify", "embed", "predict", "stream", "transform", "forward"):
        calls[f"gmixer.Predictor.{name}"] = signature(getattr(gmixer.Predictor, name))
    for name in ("forward", "stages", "stage_seconds", "from_torch"):
        calls[f"gmixer.Engine.{name}"] = signature(getattr(gmixer.Engine, name))
    for name in ("Engine", "Limits", "ModelConfig", "DataConfig"):
        calls[f"gmixer.{name}"] = signature(getattr(gmixer, name))
    return {
        "gmixer": sorted(gmixer.__all__),
        "gmixer.data": sorted(gmixer.data.__all__),
        "calls": calls,
        "classes": {name: attributes(getattr(gmixer, name)) for name in CLASSES},
        "ImageError": sorted(vars(gmixer.ImageError("corrupt", "a reason", "a.png"))),
        "documented": sorted(name for path in pages() for name in names_in_python(path.read_text())),
        "errors": {
            name: [base.__name__ for base in getattr(gmixer, name).__mro__[1:-1]]
            for name in sorted(gmixer.__all__)
            if name.endswith("Error")
        },
    }


def signature(function: Any) -> Json:
    """Each parameter: how it is passed, and its default."""
    import inspect

    found: Json = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name != "self":
            default = parameter.default
            plain = default is None or isinstance(default, bool | int | float | str | tuple)
            shown = "" if default is parameter.empty else f" = {default!r}" if plain else " = …"
            found[name] = f"{parameter.kind.name.lower()}{shown}"
    return found


def pages() -> list[Path]:
    return [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def names_in_python(page: str) -> set[str]:
    """gmixer.load, … that the page's blocks of Python use or import."""
    import ast

    found = set()
    for block in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "gmixer":
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names if alias.name.partition(".")[0] == "gmixer"}
            elif isinstance(node, ast.Attribute):
                dotted = ast.unparse(node)
                found |= {dotted} if re.fullmatch(r"gmixer(\.\w+)+", dotted) else set()
    return found


def names_in_text(page: str) -> set[str]:
    """gmixer.load, … that the page's sentences name in code spans."""
    return set(re.findall(r"`(gmixer(?:\.[A-Za-z_]\w*)+)", page))


def resolves(dotted: str) -> bool:
    """A module, or what one holds."""
    import importlib

    first, *others = dotted.split(".")
    value: Any = importlib.import_module(first)
    for i, name in enumerate(others):
        if not hasattr(value, name):
            try:
                importlib.import_module(".".join((first, *others[: i + 1])))
            except ImportError:
                return False
        value = getattr(value, name)
    return True


def attributes(kind: type) -> list[str]:
    from dataclasses import fields, is_dataclass

    own = {name for name in dir(kind) if not name.startswith("_")} - FOR_THE_COMMANDS
    return sorted(own | ({field.name for field in fields(kind)} if is_dataclass(kind) else set()))


# --- training -------------------------------------------------------------------------------------------------------

CLASSES_TRAINED, IMAGES = 3, 30
TRAIN = ("--device", "cpu", "--threads", "1", "--workers", "0", "--validate-every", "0")
# The fields of a recipe will get other names: they stand here and nowhere else.
RECIPES: dict[str, tuple[str, ...]] = {
    "smoke": (
        "--config", "smoke", "--batch", "8", "--epochs", "3", "--seed", "5",
        "--set", "accumulate=2", "--set", "warmup_epochs=0.5", "--set", "colour_jitter=0.2", "--set", "erase=0.2",
        "--set", "weight_decay=1.0",
    ),
    "muon": (
        "--config", "finetune", "--batch", "8", "--epochs", "0.7", "--seed", "6",
        "--set", "optimizer=muon", "--set", "muon_lr=2e-3",
    ),
    "probe": ("--probe", "--seed", "7"),
}  # fmt: skip


def torch_key() -> str:
    """What the last bits of a training run hang on."""
    import torch

    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text().split("\n\n")[0].splitlines() if ":" in line)
        facts = {name.strip(): value.strip() for name, value in fields.items()}
        model = " ".join(facts.get(name, "") for name in ("vendor_id", "cpu family", "model", "model name"))
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {model}"


def make_training_folder(root: Path) -> Path:
    for i in range(IMAGES):
        path = root / "colours" / f"class {i % CLASSES_TRAINED}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(coloured(i, CLASSES_TRAINED))
    return root / "colours"


def train_command(name: str, data: Path, run: Path, *more: str) -> list[str]:
    return [*GMIXER, "train", str(data), "-o", str(run), *TRAIN, *RECIPES[name], *more]


def trained(name: str, data: Path, run: Path) -> Path:
    """The folder of the model that the run ends with."""
    finished = subprocess.run(train_command(name, data, run), capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    return run / "model"


CHECKPOINTS_BEFORE_THE_KILL = 4  # of nine steps: enough that every state to be kept has something in it


def killed_and_resumed(name: str, data: Path, run: Path) -> Path:
    """The same run, killed once it has written some checkpoints, a step apart, and begun again."""
    import time

    process = subprocess.Popen(
        train_command(name, data, run, "--checkpoint-every", "0"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    seen: set[int] = set()
    while len(seen) < CHECKPOINTS_BEFORE_THE_KILL:
        assert process.poll() is None and time.monotonic() < deadline, f"only {len(seen)} checkpoints were seen"
        time.sleep(0.002)
        seen |= written_checkpoints(run)
    process.kill()
    assert process.wait() == -9, "the run ended before it was killed"
    assert not (run / "model").exists()
    return trained(name, data, run)


def written_checkpoints(run: Path) -> set[int]:
    """When those that are there now were written."""
    found = set()
    for path in run.rglob("*"):
        if "checkpoint" in str(path.relative_to(run)) and path.is_file() and not path.name.startswith("."):
            try:
                found.add(path.stat().st_mtime_ns)
            except FileNotFoundError:  # the next one has taken its place
                continue
    return found


def weights_in(model_folder: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors.numpy import load_file

    return load_file(model_folder / "model.safetensors")


def digest_of_weights(weights: dict[str, NDArray[np.float32]]) -> str:
    return digest("\n".join(f"{name} {of_array(weights[name])}" for name in sorted(weights)).encode())


def summary(weights: dict[str, NDArray[np.float32]], start: dict[str, NDArray[np.float32]]) -> Json:
    """For each tensor: its shape, and the mean and the norm of how far it moved, in float16's precision."""
    found = {}
    for name in sorted(weights):
        way = weights[name].astype(np.float64)
        if name in start and start[name].shape == way.shape:
            way = way - start[name]
        numbers = (way.mean(), np.sqrt((way**2).sum()))
        found[name] = ["x".join(map(str, way.shape)), *(float(f"{value:.4g}") for value in numbers)]
    return found


def embedded_weights() -> dict[str, NDArray[np.float32]]:
    model = gmixer.create_model("gmixer_8_64", pretrained=True)
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def in_torch() -> Json:
    """What PyTorch computes: as many bits as a training run's, and as bound to the machine."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(3)
    drawn = gmixer.create_model("gmixer_8_64", num_classes=5).state_dict()
    output = gmixer.load(MODEL, runtime="torch").forward(network_inputs("embedded"))
    return {
        "drawn weights": digest_of_weights({name: tensor.numpy() for name, tensor in drawn.items()}),
        "features": of_array(output.features),
        "logits": of_array(output.logits),
    }


def training(root: Path) -> Json:
    data, start = make_training_folder(root), embedded_weights()
    ends = {name: weights_in(trained(name, data, root / name)) for name in RECIPES}
    return {
        "embedded": digest_of_weights(start),
        "bits": {torch_key(): {name: digest_of_weights(weights) for name, weights in ends.items()} | in_torch()},
        "summary": {name: summary(weights, start) for name, weights in ends.items()},
    }
