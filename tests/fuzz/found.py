"""The smallest program of every defect that the fuzzer found, as it printed it.

Each runs after `HELPERS`, in both ways of sharing a batch out, and must give what eager code gives.
"""

from .program import HELPERS

FOUND = {
    "two states fed by one value": """
T, B, H = 4, 2, 2
s4 = floats(4, B, H)
def program():
    a, b = s4, 2*s4
    for t in range(T):
        v = tg.tanh(b@b)
        a, b = v, v
    return a
args, parameters = [], [s4]
""",
    "states that change places: one start gets no gradient": """
T, B, H = 4, 1, 1
s2, s8 = floats(2, B, H), floats(8, B, H)
def program():
    a, b = s2, s8
    for t in range(T):
        a, b = b, 2*a
    return b
args, parameters = [], [s2, s8]
""",
    "no gradient in the first steps": """
T = 4
s2 = floats(2)
def program():
    a = s2
    for t in range(T):
        with tg.no_grad() if t < 2 else contextlib.nullcontext():
            v = 2*a
        a = v+a
    return a
args, parameters = [], [s2]
""",
    "no gradient in the last steps": """
T = 4
W1 = floats(1)
def program():
    Y = []
    for t in range(T):
        with tg.no_grad() if t >= T-2 else contextlib.nullcontext():
            v = 2*W1
        Y.append(v)
    return Y[0]*Y[-1], Y
args, parameters = [], [W1]
""",
    "a first state that is detached after each step": """
T = 4
s3 = floats(3)
def program():
    Y, b = [], s3
    for t in range(T):
        Y.append(2*b)
        b = tg.tanh(b).detach()
    return tg.max(tg.stack(Y), axis=0)
args, parameters = [], [s3]
""",
    "a first step that is not detached": """
T = 5
s9, s14 = floats(9), floats(14)
def program():
    c = s14
    for t in reversed(range(T)):
        u = 2*s9
        c = (u.detach() if t < T-1 else u)+c
    return c
args, parameters = [], [s9, s14]
""",
    "a number by step in where": """
T, B, H = 4, 1, 1
s1 = floats(1, B, H)
def program():
    a = s1
    for t in range(T):
        a = tg.where(a > 0.3, a*-0.3, 0.1*t)
    return a
args, parameters = [], [s1]
""",
    "numbers alone in where": """
T = 4
m2 = bools(2)
def program():
    a = tg.zeros((), dtype="float64")
    for t in range(T):
        a = tg.where(m2, 0.1*t, 0.5)
    return a
args, parameters = [], [m2]
""",
    "a number to the power of a state": """
T = 4
s4 = floats(4)
def program():
    b = s4
    for t in range(T):
        b = 0.5**b
    return b
args, parameters = [], [s4]
""",
    "random numbers that nothing reads": """
T, B, H = 4, 3, 3
W1 = floats(1, B, H)
def program():
    a = b = W1
    for t in range(T):
        a, b = b, tg.dropout(tg.tanh(a), 0.4)
        tg.dropout(b, 0.4)
    return a, tg.dropout(W1, 0.5)
args, parameters = [], [W1]
""",
    "dropout of a number": """
T = 4
s2 = floats(2)
def program():
    a = s2
    for t in range(T):
        a = tg.dropout(tg.tanh(a), 0.4)
    return a
args, parameters = [], [s2]
""",
    "the sum of a number": """
T = 4
s3 = floats(3)
def program():
    a = s3
    for t in range(T):
        a = tg.sum(2*a)
    return a
args, parameters = [], [s3]
""",
    "the transpose of a whole number": """
T = 4
def program():
    a = tg.ones((), dtype=int)
    for t in range(T):
        a = a.T+1
    return a
args, parameters = [], []
""",
    "a mean without axes": """
T = 5
s4 = floats(4, 1)
def program():
    b = s4
    for t in range(T):
        b = tg.mean(b)
    return b
args, parameters = [], [s4]
""",
    "one element of what a step makes": """
T = 4
s2, s5 = floats(2), floats(5, 2)
def program():
    a = s2
    for t in range(T):
        a = 2*(a+s5)[0]
    return a
args, parameters = [], [s2, s5]
""",
    "a stack of one number": """
T = 4
x6 = floats(6, 3)
def program():
    a = 0.0
    for t in range(T):
        a = tg.stack([x6[-1]])
    return a
args, parameters = [], [x6]
""",
    "a loop within the step that changes nothing": """
T = 2
s3 = floats(3)
def program():
    Y, a = [], s3
    for t in range(T):
        z = a
        for k in range(2):
            u = tg.sum(a)
            z = s3
        Y.append(u)
        a = z
    return Y
args, parameters = [], [s3]
""",
    "log-softmax of a state": """
T, B, H = 4, 2, 3
s4 = floats(4, B, H)
def program():
    a = s4
    for t in range(T):
        a = tg.log_softmax(a, axis=-1)
    return a
args, parameters = [], [s4]
""",
    "layer norm of a vector": """
T, H = 4, 1
s6 = floats(6, H)
def program():
    a = b = s6
    for t in range(T):
        u = s6+b
        a, b = u, tg.normalize(u)*0.5
    return a
args, parameters = [], [s6]
""",
    "a product of what no step changes": """
T, B, H = 4, 1, 1
x1, W8 = floats(1, T, B, H), floats(8, H, 2)
def program(x1):
    Y = []
    for t in range(T):
        Y.append(x1[-1]@W8)
    return Y
args, parameters = [x1], [W8]
""",
    "a mean over the batch": """
T, B, H = 4, 2, 1
s4 = floats(4, B, H)
def program():
    a = tg.zeros((B, H), dtype="float64")
    for t in range(T):
        a = tg.mean(a, axis=0, keepdims=True)*a+s4
    return a
args, parameters = [], [s4]
""",
    "a mean of all rows in each": """
T, B, H = 4, 2, 2
W7 = floats(7, H, H)
def program():
    a = tg.zeros((B, H), dtype="float64")
    for t in range(T):
        a = W7+tg.mean(a)
    return a
args, parameters = [], [W7]
""",
    "sums of rows that start as one": """
T, B, H = 4, 2, 1
x2 = floats(2, B, T, H)
def program():
    a = tg.zeros((H,), dtype="float64")
    for t in range(T):
        u = x2[:, -1-t]
        a = 2*tg.sum(u*u, axis=-1)
    return a
args, parameters = [], [x2]
""",
    "all steps times one number": """
T, B, H = 4, 1, 1
x2, s3 = floats(2, B, T, H), floats(3)
def program(x2):
    a = s3
    for t in range(T):
        a = tg.sum(tg.sum(x2[-1]*a, axis=-1))
    return a
args, parameters = [x2], [s3]
""",
    "a vector times a matrix": """
T, H = 4, 2
W9, s1 = floats(9, H, H), floats(1, H)
def program():
    b = s1
    for t in range(T):
        b = b@W9
    return b
args, parameters = [], [W9, s1]
""",
    "what is split and what is whole, of one size": """
T, H = 4, 2
s2 = floats(2, H)
def program():
    Y, a = [], s2
    for t in range(T):
        Y.append(2*s2)
        a = 2*a
    return a, Y
args, parameters = [], [s2]
""",
    "a state on both sides of a product": """
T, B, H = 4, 2, 2
s4 = floats(4, B, H)
def program():
    b = 2*s4
    for t in range(T):
        b = tg.tanh(b@b+b)
    return b
args, parameters = [], [s4]
""",
    "slices of the batch on both sides of a product": """
T, B, H = 4, 2, 2
x1 = floats(1, B, T, H)
def program():
    Y = []
    for t in range(T):
        v = x1[:, t]
        Y.append(v@v+v)
    return Y
args, parameters = [], [x1]
""",
    "a new axis by None alone": """
T, B, H = 4, 2, 1
s4 = floats(4, B, H)
def program():
    a = s4
    for t in range(T):
        a = tg.tanh(a)
    return a[None]
args, parameters = [], [s4]
""",
    "the total of a loop that runs op by op": """
T = 4
s5 = floats(5)
def program():
    Y = []
    for t in range(T):
        Y.append(tg.stack([s5]))
    return tg.sum(tg.square(tg.stack(Y)))
args, parameters = [], [s5]
""",
    "dropout of a vector": """
T, H = 4, 3
s4 = floats(4, H)
def program():
    Y, a = [], s4
    for t in range(T):
        a = tg.dropout(tg.tanh(a), 0.4)
        Y.append(a)
    return Y
args, parameters = [], [s4]
""",
    "a batch of rows times a vector": """
T, B, H = 4, 2, 1
x2, W15 = floats(2, 2*T, B, H), floats(15, H)
def program(x2):
    Y = []
    for t in range(T):
        Y.append((x2[t]-x2[2*t])@W15)
    return Y
args, parameters = [x2], [W15]
""",
    "an empty part of a join": """
T, B, H = 4, 1, 1
s3, W10 = floats(3, B, H), floats(10, H, H)
def program():
    a = s3
    for t in range(T):
        a = tg.concat([a[:, 1:], a[:, :1]], axis=1)@W10
    return a
args, parameters = [], [s3, W10]
""",
    "an input remembered for two steps, all numbers": """
T = 6
x1, b2 = floats(1, T), floats(2, 3)
def program(x1):
    y1 = x2 = 0.0
    x = 0.0
    Y = []
    for x0 in x1:
        y1 = b2[0]*x0+b2[1]*x+b2[2]*x2+0.5*y1
        x2, x = x, x0
        Y.append(y1)
    return tg.stack(Y)
args, parameters = [x1], [b2]
""",
    "input products of which only the last is wanted": """
T, B, H = 3, 2, 4
s3, W10, x1 = floats(3, B, 1), floats(10, H, 1), floats(1, T, B, H)
def program(x1):
    Y, a = [], s3
    for t in range(T):
        Y.append(x1[t]@W10)
        a = 2*a
    return Y[-1]
args, parameters = [x1], [s3, W10]
""",
    "a state that is what no step changes": """
T, B, H = 6, 1, 1
s4 = floats(4, H, B)
def program():
    Y, a = [], tg.zeros((B, H), dtype="float64")
    c = s4.detach()
    for t in range(T):
        v = tg.sigmoid(s4)*a
        Y.append(v)
        a = c.detach() if t >= 2 else tg.where(v > 0, v, 0)
    return tg.stack(Y*2)
args, parameters = [], [s4]
""",
    "a number carried beside a batch": """
T, B = 4, 2
s3, s6 = floats(3), floats(6, B)
def program():
    Y, a, b = [], s3, s6
    for t in range(T):
        v = 2*a
        Y.append(v)
        a, b = v, 2*b
    return b, Y
args, parameters = [], [s3, s6]
""",
    "a batch of one, batch first, from its end": """
T, B, H = 4, 1, 3
x2, s7 = floats(2, B, T, H), floats(7, 1, H)
W11, W12 = floats(11, H, H, scale=0.69), floats(12, H, scale=0.69)
def program(x2):
    a = b = s7
    for t in range(T):
        a, b = b, tg.linear(x2[:,-1-t], W11, W12)
    return 2*a
args, parameters = [x2], [s7, W11, W12]
""",
    "a transposed state times itself": """
T = 3
x1, s3 = floats(1, T, grad=False), floats(3, 2, 2, grad=False)
def program():
    Y, a = [], s3
    for t in range(T):
        v = a.mT
        a = v@v + x1[t]
        Y.append(a)
    return Y
args, parameters = [], [x1, s3]
""",
    "states side by side times a stack": """
T, H = 4, 2
s2, W15 = floats(2, 1, H), floats(15, 2, 3*H, H)
def program():
    a = s2
    for t in range(T):
        a = (tg.concat([s2,a,s2],axis=1)@W15)[0]
    return a
args, parameters = [], [s2, W15]
""",
    "steps that only rename what was before": """
T = 6
s3 = floats(3, 2)
def program():
    a = s3
    for t in range(T):
        b = 2*a.detach()
        a = b if t < 2 else a
    return a.detach()
args, parameters = [], [s3]
""",
    "bools squared are whole numbers": """
T = 1
def program():
    Y, a = [], tg.zeros(2, dtype=bool)
    for t in range(T):
        a = a**2
        Y.append(a)
    return Y
args, parameters = [], []
""",
    "a stack of one matrix beside one of several": """
T, H = 3, 2
x1, s7 = floats(1, 1, T, H), floats(7, 2, 1, H)
def program():
    Y, a, b = [], s7, s7
    for t in range(T):
        v = x1[:,t,None]
        a = tg.softmax(v@a.mT,axis=-1)@a
        b = tg.softmax(b@v.mT,axis=-1)@v
        Y.append(a + b)
    return Y
args, parameters = [], [x1, s7]
""",
}

HEAD = "import contextlib\nimport numpy as np\nimport tinygrad_rnn as tg\n" + "\n".join(
    HELPERS.values()
)
PROGRAMS = {name: HEAD + text for name, text in FOUND.items()}
