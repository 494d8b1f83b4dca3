"""The network on the native core: pack the weights once, then run numpy batches. No torch.

runtime.py   what the native core and torch have in common: Output, Runtime, the checks of images and tensors
engine.py    Engine: the native core
threads.py   how many threads this process may use
"""

from gmixer.engine.engine import Engine
from gmixer.engine.runtime import Output, Precision, Runtime
from gmixer.engine.threads import default_threads
from gmixer.isa import available_isas, check_isa

__all__ = ["Engine", "Output", "Precision", "Runtime", "available_isas", "check_isa", "default_threads"]
