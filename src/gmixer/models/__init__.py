"""The network in PyTorch (extra `gmixer[torch]`).

mixer.py       the network in one readable file
load_into.py   tensors of a checkpoint → a model, new (load_mixer) or given (load_into)
saving.py      a model → a folder that timm and gmixer load
publishing.py  a model → a repository on the Hub
model_card.py  the model card in the repository
citation.py    BibTeX entries for a model

Nothing is imported here. Each module imports torch only if it needs torch.
"""
