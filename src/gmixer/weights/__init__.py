"""A name, file or folder → a checkpoint: checked against its architecture, read one tensor at a time.

    find.py            a name, a repository, a file or a folder → Checkpoint
    pulling.py         pull: a model's files → the Hub's cache, up to date
    convert.py         a checkpoint → a folder of its weights in int8 or bf16
    converted.py       what such a folder says of itself
    write_safetensors.py  the writer of its weights
    drawn.py           drawn weights, for checks and measurements
    hub.py             repositories on the Hub, its cache, fetching, uploading
    reaching.py        whether the Hub can be reached
    adapt.py           tensors for another image size or number of channels
    architecture.py    the architecture of tensors, from their names and shapes; the check of a file
    timm_config.py     timm's config.json, read and written
    class_names.py     the class names in it
    local_files.py     the weights file of a folder, and its reader
    weights_file.py    the base class of the two kinds of weights files
    tensor_file.py     safetensors: the header first, then one tensor at a time as float32
    quantized_file.py  the safetensors file of an int8 folder
    pickle_file.py     a .pth file, if the caller allows pickles
    foreign_files.py   files that are no weights: what they are
    state_dict.py      a torch state dict: its architecture, and its tensors as float32
    wrappers.py        the names that training programs put around a model's own, for every kind of file

No pickle is read unless the caller allows it.
"""

from gmixer.weights.find import Checkpoint, find_checkpoint, is_path, preferred_model
from gmixer.weights.pulling import pull

__all__ = ["Checkpoint", "find_checkpoint", "is_path", "preferred_model", "pull"]
