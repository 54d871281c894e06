"""From a loop to the source of its kernel."""

from .kernel import Kernel as Kernel, NoCode as NoCode
from .writer import generate as generate
