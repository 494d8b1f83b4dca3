"""The models: which there are (no torch), and the network in PyTorch (extra `gmixer[torch]`).

    registry.py        list_models and the like: queries on the table of config.py; no torch
    pretrained_cfg.py  a row of the table in timm's words; no torch
    mixer.py           the network, one readable file
    torch_engine.py    TorchEngine: that network as a runtime of Predictor, numpy in and out
    factory.py         create_model, with timm's keywords
    feature_maps.py     a Mixer as a backbone: features_only=True
    saving.py          a model → a folder that timm and the native engine load
    timm_bridge.py     tells timm of gmixer_8_64

Nothing is imported here, so that the queries cost no torch.
"""
