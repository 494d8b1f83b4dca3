"""timm's functions, with timm's keywords and results.

registry.py          list_models and other queries on the table of models; no torch
pretrained_cfg.py    a row of the table as timm's PretrainedCfg; no torch
create_model.py      create_model, with timm's keywords
feature_maps.py      a Mixer as a backbone: features_only=True
bridge.py            register_with_timm: adds gmixer_8_64 to timm's registry
resolve.py           resolve_model_data_config: how images are fed to a model
transforms.py        create_transform: the transform from a PIL image to a tensor
evaluation_steps.py  its steps for evaluation
training_steps.py    its random steps for training
imagenet_info.py     ImageNetInfo, infer_imagenet_subset

Nothing is imported here, so that the queries need no torch.
"""
