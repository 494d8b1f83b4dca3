"""A name, file or folder → a checkpoint: checked against its architecture, read one tensor at a time.

    find.py            embedded, the Hub, `.safetensors` file or timm's folder → Checkpoint
    hub.py             repositories on the Hub, its cache, and fetching
    adapt.py           tensors for pictures of another size or with other channels
    architecture.py    the architecture that tensor names and shapes tell; comparison with the one wanted
    timm_config.py     timm's config.json
    state_dict.py      a torch state dict: its architecture, and its tensors as float32
    weights_file.py    what every kind of weights file tells
    tensor_file.py     a safetensors file: header first, then one tensor at a time as float32
    pickle_file.py     a .pth file, where the caller allows pickles

Nothing unpickles unless it is told to.
"""

from gmixer.weights.find import Checkpoint, find_checkpoint, is_path, preferred_model, pull

__all__ = ["Checkpoint", "find_checkpoint", "is_path", "preferred_model", "pull"]
