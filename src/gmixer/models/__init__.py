"""The network in PyTorch (extra `gmixer[torch]`).

mixer.py       the network, one readable file
saving.py      a model → a folder that timm and the native engine load
publishing.py  a model → a repository on the Hub
model_card.py  the card that goes with it

Nothing is imported here: torch is imported by what needs it.
"""
