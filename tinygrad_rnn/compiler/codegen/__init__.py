"""From a loop to the source of its kernel."""

from .assemble import generate as generate
from .kernel import Kernel as Kernel
