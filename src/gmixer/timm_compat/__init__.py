"""timm's names, keywords and answers, built on the rooms before this one.

registry.py        list_models and the like: queries on the table of models; no torch
pretrained_cfg.py  a row of the table in timm's words; no torch
create_model.py    create_model, with timm's keywords
feature_maps.py    a Mixer as a backbone: features_only=True
bridge.py          tells timm of gmixer_8_64
resolve.py         resolve_model_data_config: how a model wants its images
transforms.py      create_transform: evaluation and training transforms in torch
imagenet_info.py   ImageNetInfo, infer_imagenet_subset

Nothing is imported here, so that the queries cost no torch.
"""
