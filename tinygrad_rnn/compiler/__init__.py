"""`tg.jit`: record a plain loop once, find its step, and run it as one compiled kernel."""

from .api import disable_jit as disable_jit, jit as jit
from .runtime.cache import clear_jit_cache as clear_jit_cache
from .runtime.threads import set_num_threads as set_num_threads
