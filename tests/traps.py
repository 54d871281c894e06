"""Python values that a jitted function reads and that change between its calls, as a table."""

import textwrap
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

# name: what is set up and the function f(x); what changes after its first call
TRAPS: dict[str, tuple[str, str]] = {
    # globals
    "global": ("a = 2.0\ndef f(x): return x * a", "a = 3.0"),
    "global-int-for-bool": ("a = 1\ndef f(x): return x * 2 if a is True else x", "a = True"),
    "global-negative-zero": (
        "a = 0.0\ndef f(x): return x * 2 if math.copysign(1, a) < 0 else x", "a = -0.0"),
    "global-nan": ("a = math.nan\ndef f(x): return x * 2 if a == a else x", "a = 1.0"),
    "global-string": ("a = 'tanh'\ndef f(x): return getattr(tg, a)(x)", "a = 'sin'"),
    "global-none": ("a = None\ndef f(x): return x if a is None else x * a", "a = 3.0"),
    "global-complex": ("a = 1 + 2j\ndef f(x): return x * a.imag", "a = 1 + 3j"),
    "global-range": ("a = range(2)\ndef f(x): return sum(x * k for k in a) + x", "a = range(3)"),
    "global-slice": ("a = slice(0, 2)\ndef f(x): return x[a].sum()", "a = slice(0, 1)"),
    "global-tuple": ("a = (1.0, 2.0)\ndef f(x): return x * a[1]", "a = (1.0, 3.0)"),
    "global-nested-tuple": ("a = ((1.0, [2.0]),)\ndef f(x): return x * a[0][1][0]",
                            "a[0][1][0] = 3.0"),
    "global-in-helper": ("a = 2.0\ndef g(x): return x * a\ndef f(x): return g(x)", "a = 3.0"),
    "global-in-helper-of-helper": (
        "a = 2.0\ndef h(): return a\ndef g(x): return x * h()\ndef f(x): return g(x)", "a = 3.0"),
    "global-in-comprehension": ("a = 2.0\ndef f(x): return sum([x * a for _ in range(2)])",
                                "a = 3.0"),
    "global-in-generator": ("a = 2.0\ndef f(x): return sum(x * a for _ in range(2))", "a = 3.0"),
    "global-in-lambda": ("a = 2.0\ndef f(x): return (lambda y: y * a)(x)", "a = 3.0"),
    "global-in-nested-function": (
        "a = 2.0\ndef f(x):\n    def g(y): return y * a\n    return g(x)", "a = 3.0"),
    "global-defined-later": (
        "def f(x): return x * later()\nfast = tg.jit(f)\nb = 2.0\ndef later(): return b", "b = 3.0"),
    "global-in-default-of-call": ("a = 2.0\ndef f(x): return g(x)\ndef g(x, k=3): return x * a * k",
                                  "a = 4.0"),
    "global-hides-builtin": ("def f(x): return x * abs(-2.0)", "abs = lambda v: 5.0"),
    "global-deleted": ("abs = lambda v: 5.0\ndef f(x): return x * abs(-2.0)", "del abs"),
    "builtin-replaced": (
        "import builtins\nbuiltins.trap = 2.0\ndef f(x): return x * trap", "builtins.trap = 3.0"),
    "global-tensor": ("a = tg.tensor(2.0)\ndef f(x): return x * a", "a = tg.tensor(3.0)"),
    "global-tensor-of-another-shape": (
        "a = tg.ones(1)\ndef f(x): return x * a + a.shape[0]", "a = tg.ones(3)"),
    "global-tensors-exchanged": (
        "a, b = tg.tensor(2.0), tg.tensor(3.0)\ndef f(x): return x * a - b", "a, b = b, a"),
    "global-tensor-once-shared": (
        "a = b = tg.tensor(2.0)\ndef f(x): return x * a - b", "a = tg.tensor(3.0)"),
    "global-tensors-now-one": (
        "a, b = tg.tensor(2.0), tg.tensor(3.0)\ndef f(x): return x * a - b", "a = b"),
    "global-tensor-written": ("a = tg.tensor(2.0)\ndef f(x): return x * a", "a.assign_(3.0)"),
    "global-tensor-read": (
        "a = tg.tensor(2.0)\ndef f(x): return x * a.item()", "a.assign_(3.0)"),
    "global-tensor-read-and-replaced": (
        "a = tg.tensor(2.0)\ndef f(x): return x * a.item()", "a = tg.tensor(3.0)"),
    "global-tensor-detached-and-read": (
        "a = tg.tensor([2.0])\ndef f(x): return x * float(a.detach().numpy()[0])", "a.assign_([3.0])"),
    "numpy-array-operand": ("a = np.ones(3, 'f')\ndef f(x): return x * a", "a[1] = 3"),
    "numpy-array-operand-and-read": (
        "a = np.ones(3, 'f')\ndef f(x): return x * a if a[1] < 2 else -x", "a[1] = 3"),
    "numpy-array-read": ("a = np.ones(3)\ndef f(x): return x * float(a[1])", "a[1] = 3"),
    "numpy-array-replaced": ("a = np.ones(3, 'f')\ndef f(x): return x * a", "a = a * 3"),
    "numpy-scalar": ("a = np.float32(2)\ndef f(x): return x * a", "a = np.float32(3)"),
    # functions
    "function-redefined": ("def g(x): return x * 2\ndef f(x): return g(x)",
                           "def g(x): return x * 3"),
    "function-code-replaced": ("def g(x): return x * 2\ndef f(x): return g(x)",
                               "g.__code__ = (lambda x: x * 3).__code__"),
    "function-default": ("def g(x, k=2.0): return x * k\ndef f(x): return g(x)",
                         "g.__defaults__ = (3.0,)"),
    "function-keyword-default": ("def g(x, *, k=2.0): return x * k\ndef f(x): return g(x)",
                                 "g.__kwdefaults__['k'] = 3.0"),
    "function-mutable-default": ("def f(x, k=[2.0]): return x * k[0]", "f.__defaults__[0][0] = 3.0"),
    "function-attribute": ("def g(x): return x * g.k\ng.k = 2.0\ndef f(x): return g(x)", "g.k = 3.0"),
    "function-in-list": ("gs = [tg.sin]\ndef f(x): return gs[0](x)", "gs[0] = tg.cos"),
    "function-in-dict-reads-global": (
        "a = 2.0\ngs = {'g': lambda x: x * a}\ndef f(x): return gs['g'](x)", "a = 3.0"),
    "closure": ("""
        def make():
            k = 2.0
            def f(x): return x * k
            def change():
                nonlocal k
                k = 3.0
            return f, change
        f, change = make()""", "change()"),
    "closure-of-helper": ("""
        def make():
            k = 2.0
            def g(x): return x * k
            def change():
                nonlocal k
                k = 3.0
            return g, change
        g, change = make()
        def f(x): return g(x)""", "change()"),
    "closure-filled-later": ("""
        def make():
            def f(x):
                try: return x * k
                except NameError: return x
            def change():
                nonlocal k
                k = 3.0
            if x_never: k = 0
            return f, change
        x_never = False
        f, change = make()""", "change()"),
    "partial": ("import functools\nd = {'k': [2.0]}\ndef g(x, k): return x * k[0]\n"
                "f = functools.partial(g, **d)", "d['k'][0] = 3.0"),
    "decorated": ("""
        import functools
        a = 2.0
        def twice(g):
            @functools.wraps(g)
            def wrapped(x): return g(g(x))
            return wrapped
        @twice
        def f(x): return x * a""", "a = 3.0"),
    "under-no-grad": ("a = 2.0\n@tg.no_grad()\ndef g(x): return x * a\ndef f(x): return g(x)",
                      "a = 3.0"),
    "context-manager": ("""
        import contextlib
        a = [2.0]
        @contextlib.contextmanager
        def scaled(): yield a[0]
        def f(x):
            with scaled() as k: return x * k""", "a[0] = 3.0"),
    "jitted-inside": ("a = 2.0\n@tg.jit\ndef g(x): return x * a\ndef f(x): return g(x)", "a = 3.0"),
    "map": ("a = 2.0\ndef g(x): return x * a\ndef f(x): return sum(map(g, [x, x]))", "a = 3.0"),
    "from-where-no-name-leads": ("""
        import weakref
        a = 2.0
        def make(k):
            def g(x): return x * k * a
            return g
        keep = [make(1.0)]
        table = weakref.WeakValueDictionary(g=keep[0])
        def f(x): return table['g'](x)""", "a = 3.0"),
    "evaluated": ("a = 2.0\ndef f(x): return eval('x * a')", "a = 3.0"),
    # containers
    "list": ("a = [1.0, 2.0]\ndef f(x): return x * a[1]", "a[1] = 3.0"),
    "list-grows": ("a = [1.0, 2.0]\ndef f(x): return sum(x * k for k in a)", "a.append(3.0)"),
    "list-shrinks": ("a = [1.0, 2.0]\ndef f(x): return sum(x * k for k in a)", "a.pop()"),
    "list-of-tensors": ("a = [tg.tensor(2.0)]\ndef f(x): return x * a[0]", "a[0] = tg.tensor(3.0)"),
    "list-replaced": ("a = [1.0, 2.0]\ndef f(x): return x * a[1]", "a = [1.0, 3.0]"),
    "list-replaced-by-its-like-and-written": (
        "a = [1.0, 2.0]\ndef f(x): return x * a[1]",
        "a = [1.0, 2.0]\nassert np.array_equal(fast(x).numpy(), f(x).numpy())\na[1] = 3.0"),
    "list-deep": ("a = [[[[[[2.0]]]]]]\ndef f(x): return x * a[0][0][0][0][0][0]",
                  "a[0][0][0][0][0][0] = 3.0"),
    "list-large": ("a = [tg.tensor(2.0)] * 999\ndef f(x): return x * a[3]", "a[3] = tg.tensor(3.0)"),
    "list-large-grows": ("a = [2.0] * 999\ndef f(x): return x * len(a)", "a.append(0)"),
    "list-under-a-bound-method": ("a = [2.0]\nget = a.__getitem__\ndef f(x): return x * get(0)",
                                  "a[0] = 3.0"),
    "dict": ("a = {'k': 2.0}\ndef f(x): return x * a['k']", "a['k'] = 3.0"),
    "dict-grows": ("a = {'k': 2.0}\ndef f(x): return sum(x * k for k in a.values())", "a['j'] = 3.0"),
    "dict-keys": ("a = {'sin': 1}\ndef f(x): return getattr(tg, list(a)[0])(x)",
                  "a.clear()\na['cos'] = 1"),
    "dict-order": ("a = {'sin': 0, 'exp': 0}\ndef f(x): return getattr(tg, list(a)[0])(x)",
                   "del a['sin']\na['sin'] = 0"),
    "set": ("a = {1.0}\ndef f(x): return x * sum(a)", "a.add(2.0)"),
    "deque": ("from collections import deque\na = deque([2.0])\ndef f(x): return x * a[0]",
              "a.appendleft(3.0)"),
    "default-dict": ("from collections import defaultdict\na = defaultdict(lambda: 2.0)\n"
                     "def f(x): return x * a['k']", "a['k'] = 3.0"),
    "dict-with-attributes": ("class D(dict): pass\na = D()\na.k = 2.0\ndef f(x): return x * a.k", "a.k = 3.0"),
    "list-with-attributes-as-argument": (
        "class L(list): pass\na = L([x0])\na.k = 2.0\ndef g(x, a): return x * a.k + a[0]\nh = tg.jit(g)\n"
        "fast = lambda x: h(x, a)\ndef f(x): return g(x, a)", "a.k = 3.0"),
    "list-with-attributes-as-argument-written": (
        "class L(list): pass\na = L([x0])\na.k = 2.0\ndef g(x, a): return x * a.k + a[0]\nh = tg.jit(g)\n"
        "fast = lambda x: h(x, a)\ndef f(x): return g(x, a)", "a[0] = x0 * 2"),
    "named-tuple": ("from collections import namedtuple\nP = namedtuple('P', 'k')\na = P(2.0)\n"
                    "def f(x): return x * a.k", "a = P(3.0)"),
    # objects
    "attribute": ("o = Plain(k=2.0)\ndef f(x): return x * o.k", "o.k = 3.0"),
    "attribute-through-getattr": ("o = Plain(k=2.0)\ndef f(x): return x * getattr(o, 'k')",
                                  "o.k = 3.0"),
    "attribute-through-worked-out-name": (
        "o = Plain(k1=2.0)\ndef f(x): return x * getattr(o, 'k' + str(1))", "o.k1 = 3.0"),
    "attribute-through-vars": ("o = Plain(k=2.0)\ndef f(x): return x * list(vars(o).values())[0]",
                               "o.k = 3.0"),
    "attribute-that-appears": ("o = Plain()\ndef f(x): return x * getattr(o, 'k', 2.0)", "o.k = 3.0"),
    "attribute-that-appears-in-vars": ("o = Plain(k=2.0)\ndef f(x): return x * len(vars(o))",
                                       "o.j = 3.0"),
    "attribute-deleted": ("class C: k = 2.0\no = C()\no.k = 3.0\ndef f(x): return x * o.k", "del o.k"),
    "attribute-nested": ("o = Plain(p=Plain(q=Plain(k=2.0)))\ndef f(x): return x * o.p.q.k",
                         "o.p.q.k = 3.0"),
    "attribute-in-helper": ("o = Plain(k=2.0)\ndef g(p): return p.k\ndef f(x): return x * g(o)",
                            "o.k = 3.0"),
    "attribute-tensor": ("o = Plain(k=tg.tensor(2.0))\ndef f(x): return x * o.k",
                         "o.k = tg.tensor(3.0)"),
    "attribute-tuple-of-tensors": (
        "o = Plain(k=(tg.tensor(2.0), tg.tensor(1.0)))\ndef f(x): return x * o.k[0] - o.k[1]",
        "o.k = (tg.tensor(3.0), tg.tensor(4.0))"),
    "attribute-list-of-objects": ("o = [Plain(k=2.0)]\ndef f(x): return x * o[0].k", "o[0].k = 3.0"),
    "attribute-of-argparse": ("import argparse\no = argparse.Namespace(k=2.0)\n"
                              "def f(x): return x * o.k", "o.k = 3.0"),
    "thread-local": ("import threading\na = threading.local()\na.k = 2.0\ndef f(x): return x * a.k",
                     "a.k = 3.0"),
    "object-replaced": ("o = Plain(k=2.0)\ndef f(x): return x * o.k", "o = Plain(k=3.0)"),
    "object-dict-replaced": ("o = Plain(k=2.0)\ndef f(x): return x * o.k", "o.__dict__ = {'k': 3.0}"),
    "object-class-replaced": ("class A: k = 2.0\nclass B: k = 3.0\no = A()\ndef f(x): return x * o.k",
                              "o.__class__ = B"),
    "slots": ("class S: __slots__ = 'k',\no = S()\no.k = 2.0\ndef f(x): return x * o.k", "o.k = 3.0"),
    "slots-that-appear": ("class S: __slots__ = 'k',\no = S()\n"
                          "def f(x): return x * getattr(o, 'k', 2.0)", "o.k = 3.0"),
    "dataclass": ("from dataclasses import dataclass\n@dataclass\nclass C: k: float = 2.0\no = C()\n"
                  "def f(x): return x * o.k", "o.k = 3.0"),
    "class-attribute": ("class C: k = 2.0\ndef f(x): return x * C.k", "C.k = 3.0"),
    "class-attribute-through-object": ("class C: k = 2.0\no = C()\ndef f(x): return x * o.k",
                                       "C.k = 3.0"),
    "class-attribute-hidden-by-object": ("class C: k = 2.0\no = C()\ndef f(x): return x * o.k",
                                         "o.k = 3.0"),
    "class-attribute-of-base": ("class C: k = 2.0\nclass D(C): pass\no = D()\ndef f(x): return x * o.k",
                                "C.k = 3.0"),
    "class-attribute-hidden-by-derived": (
        "class C: k = 2.0\nclass D(C): pass\no = D()\ndef f(x): return x * o.k", "D.k = 3.0"),
    "method-replaced": ("class C:\n    def g(self, x): return x * 2\no = C()\ndef f(x): return o.g(x)",
                        "C.g = lambda self, x: x * 3"),
    "method-reads-global": (
        "a = 2.0\nclass C:\n    def __call__(self, x): return x * a\nf = C()", "a = 3.0"),
    "special-method-replaced": (
        "class C:\n    def __getitem__(self, k): return 2.0\no = C()\ndef f(x): return x * o[0]",
        "C.__getitem__ = lambda self, k: 3.0"),
    "bound-method": ("class C:\n    k = 2.0\n    def g(self, x): return x * self.k\no = C()\nf = o.g",
                     "o.k = 3.0"),
    "static-method": ("a = 2.0\nclass C:\n    @staticmethod\n    def g(x): return x * a\n"
                      "def f(x): return C.g(x)", "a = 3.0"),
    "class-method": ("class C:\n    k = 2.0\n    @classmethod\n    def g(cls, x): return x * cls.k\n"
                     "def f(x): return C.g(x)", "C.k = 3.0"),
    "property": ("class C:\n    _k = 2.0\n    @property\n    def k(self): return self._k\no = C()\n"
                 "def f(x): return x * o.k", "o._k = 3.0"),
    "property-replaced": ("class C:\n    @property\n    def k(self): return 2.0\no = C()\n"
                          "def f(x): return x * o.k", "C.k = property(lambda self: 3.0)"),
    "attribute-worked-out": (
        "class C:\n    def __getattr__(self, name): return a\na = 2.0\no = C()\n"
        "def f(x): return x * o.k", "a = 3.0"),
    "enumeration": ("import enum\nclass E(enum.Enum): A = 2.0; B = 3.0\na = E.A\n"
                    "def f(x): return x * a.value", "a = E.B"),
    "generator-object-of-a-class": ("""
        class Count:
            k = 0
            def __iter__(self): return self
            def __next__(self):
                self.k += 1
                return self.k
        it = Count()
        def f(x): return x * next(it)
        expected = iter([1, 2])
        def f_eager(x): return x * next(expected)""", ""),
    "counter": ("""
        o = Plain(k=0)
        def f(x):
            o.k += 1
            return x * o.k
        n = 0
        def f_eager(x):
            global n
            n += 1
            return x * n""", ""),
    "cache-filled-at-first-use": ("""
        o = Plain(w=None)
        def f(x):
            if o.w is None: o.w = 2.0
            return x * o.w""", "o.w = 3.0"),
    # modules of Python
    "module": ("import trap_module\ntrap_module.k = 2.0\ndef f(x): return x * trap_module.k",
               "trap_module.k = 3.0"),
    "module-imported-inside": ("import trap_module\ntrap_module.k = 2.0\n"
                               "def f(x):\n    import trap_module as m\n    return x * m.k",
                               "trap_module.k = 3.0"),
    "module-function-reads-its-global": ("import trap_module\ntrap_module.k = 2.0\n"
                                         "def f(x): return trap_module.scaled(x)",
                                         "trap_module.k = 3.0"),
    # modules with parameters
    "mode": ("m = nn.Dropout(0.5)\ndef f(x): return m(x)", "m.eval()"),
    "mode-behind-an-object": ("o = Plain(m=nn.Dropout(0.5))\ndef f(x): return o.m(x)", "o.m.eval()"),
    "dict-behind-a-cached-function": ("import functools\nfrom collections import OrderedDict\n"
                                      "@functools.lru_cache\ndef config(): return OrderedDict(k=2.0)\n"
                                      "config()\ndef g(c, x): return x * c['k']\n"
                                      "def f(x): return g(config(), x)", "config()['k'] = 3.0"),
    "mode-behind-a-cached-function": ("import functools\n@functools.lru_cache\ndef model(): "
                                      "return nn.Dropout(0.5)\nmodel()\ndef f(x): return model()(x)",
                                      "model().eval()"),
    "mode-read-by-hand": ("class M(nn.Module):\n    def forward(self, x): return x * (2.0 if "
                          "self.training else 1.0)\nf = M()", "f.eval()"),
    "parameter-replaced": ("m = nn.Linear(3, 3)\ndef f(x): return m(x)",
                           "m.weight = nn.Parameter(np.ones((3, 3), 'f'))"),
    "parameter-list": ("class M(nn.Module):\n    def __init__(self): self.ps = [nn.Parameter([2.0])]\n"
                       "    def forward(self, x): return x * self.ps[0]\nf = M()",
                       "f.ps[0] = nn.Parameter([3.0])"),
    "module-list-replaced": ("m = nn.Sequential(nn.Linear(3, 3))\ndef f(x): return m(x)",
                             "m[0] = nn.Linear(3, 3)"),
    "module-list-grows": ("m = nn.Sequential(nn.Linear(3, 3))\ndef f(x): return m(x)",
                          "m.append(tg.tanh)"),
    "module-list-shrinks": ("m = nn.Sequential(nn.Linear(3, 3), tg.tanh)\ndef f(x): return m(x)",
                            "m.pop()"),
    "module-hook": ("m = nn.Linear(3, 3)\ndef f(x): return m(x)",
                    "m.register_forward_hook(lambda m, args, y: y * 2)"),
    "module-hook-removed": ("m = nn.Linear(3, 3)\nh = m.register_forward_hook(lambda m, args, y: y * 2)\n"
                            "def f(x): return m(x)", "h.remove()"),
    "module-hook-reads-global": (
        "a = 2.0\nm = nn.Linear(3, 3)\nh = m.register_forward_hook(lambda m, args, y: y * a)\n"
        "def f(x): return m(x)", "a = 3.0"),
    "module-dict": ("class M(nn.Module):\n    def __init__(self): self.d = {'q': nn.Linear(3, 3)}\n"
                    "    def forward(self, x): return self.d['q'](x)\nf = M()",
                    "f.d['q'] = nn.Linear(3, 3)"),
    "module-number": ("class M(nn.Module):\n    k = 2.0\n    def forward(self, x): return x * self.k\n"
                      "f = M()", "f.k = 3.0"),
    "module-holds-object": ("class M(nn.Module):\n    def __init__(self): self.c = Plain(k=2.0)\n"
                            "    def forward(self, x): return x * self.c.k\nf = M()", "f.c.k = 3.0"),
    "module-parameters": ("m = nn.Linear(3, 3)\n"
                          "def f(x): return x * sum((p * p).sum() for p in m.parameters())",
                          "m.extra = nn.Parameter([3.0])"),
    "layer-option": ("m = nn.Dropout(0.0)\ndef f(x): return m(x)", "m.p = 0.9"),
    # random numbers
    "seed": ("tg.manual_seed(3)\ndef f(x): return x * tg.rand(3)", "tg.manual_seed(4)"),
    "seed-inside": ("def f(x):\n    tg.manual_seed(3)\n    return x * tg.rand(3)", "tg.rand(5)"),
    "seed-inside-from-a-global": ("s = 3\ndef f(x):\n    tg.manual_seed(s)\n    return x * tg.rand(3)",
                                  "s = 4"),
    "seed-inside-then-outside": (
        "def f(x):\n    tg.manual_seed(3)\n    return x * tg.rand(3)",
        "def g(x): return f(x) + tg.rand(3)\nf_eager = g\nfast_before = fast\n"
        "fast = lambda x: fast_before(x) + tg.rand(3)"),
    "generator-replaced": ("g = tg.Generator(3)\ndef f(x): return x * tg.rand(3, generator=g)",
                           "g = tg.Generator(4)"),
    # switches
    "no-grad-inside": ("on = True\nw = tg.tensor(2.0, requires_grad=True)\n"
                       "def f(x): return (x * w).detach() if on else x * w * 2", "on = False"),
}  # fmt: skip


class Plain:
    """An object with attributes."""

    def __init__(self, **attributes: Any):
        self.__dict__.update(attributes)


def world(source: str, **more: Any) -> dict[str, Any]:
    """Run a trap's first part in globals of its own."""
    space: dict[str, Any] = {"tg": tg, "nn": nn, "np": np, "Plain": Plain, "x0": tg.ones(3), **more}
    space["__name__"] = "__main__"
    exec("import math\n" + textwrap.dedent(source), space)
    space["x"] = tg.tensor([0.5, -1.0, 2.0])
    space.setdefault("fast", tg.jit(space["f"]))
    return space
