"""Write src/gmixer/doctor/golden.json: the result of timm and torch for `gmixer doctor`'s image and embedded weights.

    python tools/make_golden.py > src/gmixer/doctor/golden.json

The transform is timm's, and the network is timm's MlpMixer in float64. gmixer provides only the formula of the image,
the architecture, the weights, and the rounding of operands in bf16 and int8. Run it again after a change of the
embedded weights or of the image; tests/doctor/test_doctor.py fails until then.
"""

from __future__ import annotations

import io
import json

import numpy as np
import PIL
import timm
import torch
from PIL import Image
from timm.data import create_transform
from timm.layers import GluMlp
from timm.models.mlp_mixer import MlpMixer
from torch import Tensor, nn

from gmixer.catalogue import EMBEDDED_MODEL
from gmixer.doctor.embedded import FEATURES, PIXELS, png
from gmixer.runtimes.parity import ROUNDINGS, with_rounded_products
from gmixer.weights import find_checkpoint


def timm_model() -> MlpMixer:
    """timm's MlpMixer with the widths of gmixer_8_64 and the embedded weights."""
    checkpoint = find_checkpoint(EMBEDDED_MODEL)
    c = checkpoint.model
    model = MlpMixer(
        num_classes=c.num_classes,
        img_size=c.image_px,
        patch_size=c.patch_px,
        num_blocks=c.blocks,
        embed_dim=c.channels,
        mlp_ratio=(c.token_fc1 / c.channels, c.channel_fc1 / c.channels),
        mlp_layer=GluMlp,
        act_layer=nn.SiLU,
    )
    model.load_state_dict({name: torch.tensor(values) for name, values in checkpoint.tensors()})
    return model.eval()


def outputs(model: nn.Module, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits."""
    with torch.inference_mode():
        return model.forward_head(model.forward_features(x_BCHW), pre_logits=True), model(x_BCHW)


def main() -> None:
    data = find_checkpoint(EMBEDDED_MODEL).data.to_timm()
    transform = create_transform(**data, is_training=False)
    x_BCHW = transform(Image.open(io.BytesIO(png())))[None]
    model = timm_model()
    plain = {"fp32": outputs(model, x_BCHW)}
    for precision in ROUNDINGS:
        plain[precision] = outputs(with_rounded_products(timm_model(), precision), x_BCHW)
    exact = outputs(model.double(), x_BCHW.double())
    features_C, logits_K = (values[0].numpy() for values in exact)
    log_probability_K = torch.log_softmax(exact[1][0], dim=0)
    golden = {
        "recipe": "tools/make_golden.py",
        "made_with": {"timm": timm.__version__, "torch": torch.__version__.split("+")[0], "pillow": PIL.__version__},
        "tensor": np.round(x_BCHW[0].numpy()[PIXELS].astype(np.float64), 6).tolist(),
        "features": np.round(features_C[FEATURES], 9).tolist(),
        "top5": [[int(i), round(float(log_probability_K[i]), 9)] for i in np.argsort(-logits_K)[:5]],
        # The largest difference of features and of logits from float64: PyTorch's float32, its products as they are, or
        # their operands rounded.
        "errors": {
            precision: [float(f"{float((a.double() - b).abs().max()):.2e}") for a, b in zip(got, exact, strict=True)]
            for precision, got in plain.items()
        },
    }
    print(json.dumps(golden, indent=1))


if __name__ == "__main__":
    main()
