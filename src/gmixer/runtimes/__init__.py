"""The network on the native core: pack the weights once, then run numpy batches. No torch.

protocol.py  what the native core and torch have in common: Output, Runtime, the checks of images and tensors
native.py    Engine: the native core
torch.py     TorchEngine: PyTorch (extra gmixer[torch])
threads.py   how many threads this process may use
"""

from gmixer.isa import available_isas, check_isa
from gmixer.runtimes.native import Engine
from gmixer.runtimes.protocol import Output, Precision, Runtime
from gmixer.runtimes.threads import default_threads

__all__ = ["Engine", "Output", "Precision", "Runtime", "available_isas", "check_isa", "default_threads"]
