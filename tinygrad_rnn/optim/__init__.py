"""Optimisers, learning-rate schedules and gradient clipping."""

from . import lr_scheduler as lr_scheduler
from .clip import clip_grad_norm_ as clip_grad_norm_, clip_grad_value_ as clip_grad_value_
from .optimizer import (
    SGD as SGD,
    Adagrad as Adagrad,
    Adam as Adam,
    AdamW as AdamW,
    Optimizer as Optimizer,
    RMSprop as RMSprop,
)
