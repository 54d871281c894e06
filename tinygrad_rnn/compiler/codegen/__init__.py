"""From a loop to the source of its kernel."""

from .assemble import Kernel as Kernel, generate as generate
