"""What runs the network: the weights are packed once, then batches of tensors go through. numpy in, numpy out.

protocol.py  Runtime, Output; what every runtime refuses
native.py    Engine: the native core
torch.py     TorchEngine: PyTorch (extra gmixer[torch])
opening.py   open_runtime: a checkpoint and Native or Torch → a Runtime
threads.py   how many threads this process may use
"""

from gmixer.runtimes.native import Engine
from gmixer.runtimes.opening import check_offered, open_runtime
from gmixer.runtimes.protocol import Output, Runtime, checked_output
from gmixer.runtimes.threads import default_threads

__all__ = ["Engine", "Output", "Runtime", "check_offered", "checked_output", "default_threads", "open_runtime"]
