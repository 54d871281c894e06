"""From a loop to the source of its kernel."""

from .kernel import Kernel as Kernel
from .writer import generate as generate
