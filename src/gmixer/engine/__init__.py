"""The network on the native core: pack the weights once, then run numpy batches. No torch."""

from gmixer.engine.engine import Engine, Output, available_isas, check_isa
from gmixer.engine.threads import default_threads

__all__ = ["Engine", "Output", "available_isas", "check_isa", "default_threads"]
