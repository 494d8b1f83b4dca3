"""What to cite for a model, as BibTeX. CITATION.cff in the repository has the same entry for gmixer itself."""

from __future__ import annotations

from gmixer.config import ModelConfig

_GMIXER = """\
@software{gmixer,
  title   = {gmixer: the {G-Mixer} image classifier and feature backbone},
  author  = {{The gmixer maintainers}},
  year    = {2026},
  version = {VERSION}
}"""

_TIMM = """\
@misc{rw2019timm,
  title     = {{PyTorch} Image Models},
  author    = {Ross Wightman},
  year      = {2019},
  publisher = {GitHub},
  doi       = {10.5281/zenodo.4414861},
  url       = {https://github.com/huggingface/pytorch-image-models}
}"""

_MIXER = """\
@inproceedings{tolstikhin2021mixer,
  title         = {{MLP-Mixer}: An all-{MLP} Architecture for Vision},
  author        = {Tolstikhin, Ilya and Houlsby, Neil and Kolesnikov, Alexander and Beyer, Lucas and Zhai, Xiaohua and
                   Unterthiner, Thomas and Yung, Jessica and Steiner, Andreas and Keysers, Daniel and Uszkoreit, Jakob
                   and Lucic, Mario and Dosovitskiy, Alexey},
  booktitle     = {Advances in Neural Information Processing Systems},
  year          = {2021},
  eprint        = {2105.01601},
  archiveprefix = {arXiv}
}"""

_SWIGLU = """\
@misc{shazeer2020glu,
  title         = {{GLU} Variants Improve Transformer},
  author        = {Shazeer, Noam},
  year          = {2020},
  eprint        = {2002.05202},
  archiveprefix = {arXiv}
}"""

_MIIL = """\
@inproceedings{ridnik2021imagenet21k,
  title         = {{ImageNet-21K} Pretraining for the Masses},
  author        = {Ridnik, Tal and Ben-Baruch, Emanuel and Noy, Asaf and Zelnik-Manor, Lihi},
  booktitle     = {NeurIPS Datasets and Benchmarks},
  year          = {2021},
  eprint        = {2104.10972},
  archiveprefix = {arXiv}
}"""


def bibtex(model: ModelConfig, *, tag: str = "") -> str:
    """The entries for gmixer, timm and the papers of a model, with blank lines between them.

    tag: of the pretrained weights, such as "miil_in21k". Some weights have a paper of their own.
    """
    from gmixer import __version__

    entries = [_GMIXER.replace("VERSION", __version__), _TIMM, _MIXER]
    if model.mlp == "swiglu":
        entries.append(_SWIGLU)
    if tag.startswith("miil"):
        entries.append(_MIIL)
    return "\n\n".join(entries)
