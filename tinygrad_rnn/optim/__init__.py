"""Optimisers, learning-rate schedules and gradient clipping."""

from . import lr_scheduler as lr_scheduler
from .adam import (
    Adam as Adam,
    Adamax as Adamax,
    AdamW as AdamW,
    NAdam as NAdam,
    RAdam as RAdam,
)
from .average import AveragedWeights as AveragedWeights
from .by_rule import RuleOptimizer as RuleOptimizer
from .clip import clip_grad_norm_ as clip_grad_norm_, clip_grad_value_ as clip_grad_value_
from .descent import SGD as SGD
from .finite import SkipNonFinite as SkipNonFinite
from .lbfgs import LBFGS as LBFGS
from .optimizer import Optimizer as Optimizer
from .scaled import Adadelta as Adadelta, Adagrad as Adagrad, RMSprop as RMSprop
