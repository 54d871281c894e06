"""What may stand in a step: texts with holes {0}, {1} ... and the kinds of their operands.

f a float tensor, b a bool one, i an integer one; <num> is a number, <pos> one above zero,
<axis> an axis and so on (NUMBERS). What does not fit the shapes that came is drawn again, so
these tables say nothing of shapes.
"""

POINTWISE = """
tg.tanh({0}) tg.sigmoid({0}) tg.relu({0}) tg.softplus({0}) tg.sin({0}) tg.cos({0}) tg.silu({0})
tg.gelu({0}) tg.abs({0}) tg.square({0}) tg.erf({0}) tg.expm1(0.3*{0}) tg.exp(-{0}) -{0}
tg.exp({0}*<small>) tg.log1p(tg.abs({0})) tg.log(tg.square({0})+0.3) tg.sqrt(tg.square({0})+0.1)
{0}*<num> <num>*{0} {0}+<num> <num>+{0} {0}-<num> <num>-{0} {0}/<pos> <pos>/(1.5+tg.square({0}))
{0}**2 {0}**3 {0}**1 {0}**0 tg.pow({0},2.0) (tg.abs({0})+0.2)**<pos> <pos>**{0}
(tg.square({0})+0.5)**-0.5 tg.maximum({0},<num>) tg.minimum(<num>,{0}) tg.clip({0},-<pos>,<pos>)
tg.clip({0},0,<pos>) tg.where({0}><num>,{0},<num>) tg.where({0}<<num>,<num>,{0}) {0}.detach()
tg.where({0}>=0,<num>,<num>) tg.dropout({0},<p>) tg.dropout({0},<p>) {0}.astype("float64")
tg.where({0}>0,{0}*<num>,<num>) {0}.tanh() abs({0}) 1-{0} 1/(1+tg.exp(-{0})) tg.add({0},<num>)
tg.sub(<num>,{0}) tg.mul({0},<num>) tg.div({0},<pos>) 0.5*({0}+{0}) {0}*{0} {0}-{0}.detach()
{0}*0 ({0}>0)*{0} tg.where({0}!=0,1.0/<pos>,{0}) tg.minimum({0},{0}*<pos>)
{0}*np.arange(1.0,{0}.shape[-1]+1) {0}+tg.ones({0}.shape,dtype="float64") {0}*tg.rand(*{0}.shape,dtype="float64")
tg.atan({0}) tg.hypot({0},1.0) tg.logaddexp({0},0.0) tg.round({0})*<num>+{0}
{0}+0.1*tg.randn({0}.shape[-1],dtype="float64") tg.where(tg.rand(*{0}.shape)<0.5,{0},<num>) np.ones({0}.shape[-1])-{0}
"""
ROWS = """
tg.softmax({0},axis=<axis>) tg.log_softmax({0},axis=<axis>) tg.normalize({0}) tg.normalize({0},eps=<pos>)
tg.sum({0},axis=<axis>) tg.sum({0},axis=<axis>,keepdims=True) tg.mean({0},axis=<axis>)
tg.mean({0},axis=<axis>,keepdims=True) tg.sum({0}) tg.mean({0}) {0}.sum(axis=(0,1))
tg.max({0},axis=<axis>) tg.min({0},axis=<axis>,keepdims=True) tg.logsumexp({0},axis=<axis>)
tg.cumsum({0},axis=<axis>) tg.norm({0},axis=<axis>,keepdims=True) tg.var({0},axis=<axis>)
tg.std({0},axis=<axis>,keepdims=True) {0}.mean(axis=<axis>,keepdims=True) tg.max({0})
tg.cumprod(tg.tanh({0}),axis=<axis>) tg.sort({0},axis=<axis>) tg.prod(tg.tanh({0}),axis=<axis>,keepdims=True)
{0}-tg.mean({0},axis=<axis>,keepdims=True) {0}/(tg.norm({0})+1) {0}-tg.max({0},axis=<axis>,keepdims=True)
"""
SHAPES = """
{0}[:,1:] {0}[:,:1] {0}[:1] {0}[1:] {0}[0] {0}[-1] {0}[...,-1] {0}[...,:2] {0}[::-1] {0}[:,::-1]
{0}[:,::2] {0}[:,None] {0}[None] {0}[...,0] {0}[:,<column>] {0}[...,<column>] {0}[<column>]
tg.concat([{0}[:,1:],{0}[:,:1]],axis=1) tg.concat([{0}[-1:],{0}[:-1]],axis=0)
tg.concat([{0}[...,1:],{0}[...,:1]],axis=-1) tg.flip({0},axis=<axis>) {0}.T {0}.mT
{0}.reshape(-1) tg.reshape({0},shape=(-1,1)) tg.reshape({0},shape=(1,-1)) tg.expand_dims({0},<axis>)
tg.squeeze({0}) tg.stack([{0},{0}]) tg.stack([{0},-{0}],axis=1) tg.swapaxes({0},0,1)
tg.broadcast_to({0},shape=(2,*{0}.shape)) tg.concat([{0},{0}],axis=<axis>) tg.split({0},1,axis=<axis>)[0]
tg.chunk({0},2,axis=<axis>)[1] tg.chunk({0},2,axis=<axis>)[0] tg.take({0},<index>,axis=<axis>)
tg.unstack({0})[0] {0}.reshape({0}.shape) {0}.permute_dims(*range({0}.ndim)) {0}[:] {0}[...]
tg.roll({0},1,axis=<axis>) tg.tril({0}) tg.triu({0},-1) tg.moveaxis({0},0,-1) tg.diagonal({0})
tg.take({0},[0,0],axis=<axis>) tg.sum_to({0},shape=(1,)*{0}.ndim)
"""
TWO = """
{0}+{1} {0}-{1} {0}*{1} tg.maximum({0},{1}) tg.minimum({0},{1}) {0}/(1.5+tg.square({1}))
{0}/(tg.abs({1})+1) tg.where({0}>{1},{0},{1}) tg.where({0}<{1},<num>,{1}) tg.where({0}>0,{1},<num>)
tg.where({0}>0,{1},0) (tg.abs({0})+0.3)**{1} tg.sigmoid({0})*{1} tg.tanh({0}+{1}) tg.tanh({0}*{1})
{0}*<num>+{1} {0}-<num>*{1} tg.concat([{0},{1}],axis=<axis>) {0}@{1} {0}@{1}.mT {0}.mT@{1}
tg.outer({0},{1}) {0}*(1-{1}) tg.add({0},{1}) tg.softmax({0}@{1}.mT,axis=-1)@{1}
tg.stack([{0},{1}]) tg.mean({0}*{1},axis=<axis>,keepdims=True) ({0}*{1}).sum() ({0}-{1})**2
tg.clip({0},{1},<num>) ({0}*{1}).sum(axis=<axis>) {0}+{1}.detach() tg.linear({0},{1}) tg.sum({0}*{1},axis=-1)
tg.logaddexp({0},{1}) tg.atan2({0},2+tg.abs({1})) tg.hypot({0},1+tg.abs({1})) tg.vecdot({0},{1})
tg.einsum("...i,...j->...ij",{0},{1}) tg.einsum("...i,...i->...",{0},{1}) {0}[...,:,None]*{1}[...,None,:]
tg.logsumexp({0}[...,:,None]+{1},axis=-2) tg.max({0}[...,:,None]+{1},axis=-2) ({0}@{1}[...,None])[...,0]
tg.take_along_axis({0},tg.argmax({1},axis=-1,keepdims=True),axis=-1) {0}-{0}@tg.triu({1},1)
tg.where(({0}>0)&({1}>0),{0},{1}) tg.where(tg.logical_or({0}>0,{1}<0),{0},<num>)
"""
THREE = """
tg.einsum("...i,ij,...j->...i",{0},{1},{2}) {0}-({0}@{1}[...,None])*{2}[...,None,:]
tg.where({0}>0,{1},{2}) {0}*{1}+{2} {0}*{1}+(1-{0})*{2} tg.clip({0},-tg.abs({1})-0.1,tg.abs({2})+0.1)
tg.sigmoid({0})*{1}+(1-tg.sigmoid({0}))*{2} tg.where({0}>{1},{1},{2}) {0}+{1}+{2} tg.concat([{0},{1},{2}],axis=<axis>)
{0}@{1}+{2} tg.tanh({0}+{1})*{2} tg.maximum({0},tg.maximum({1},{2})) {0}*{1}*{2} tg.stack([{0},{1},{2}])
"""
MASKED = {  # kinds of operands: texts
    "bf": """tg.where({0},{1},<num>) tg.where({0},<num>,{1}) {0}*{1} {1}*{0} tg.where({0},{1},0.0)
        tg.where(~{0},{1},<num>) {1}+{0} tg.where({0},{1}.detach(),{1}) {1}-{0} {1}/(1+{0})
        {0}.astype("float64")*{1} tg.maximum({1},{0})""",
    "bff": "tg.where({0},{1},{2}) {0}*{1}+(~{0})*{2} tg.where(tg.logical_not({0}),{1},{2})",
    "bbf": """tg.where({0}&{1},{2},<num>) ({0}+{1})*{2} tg.where({0}|{1},{2},0) ({0}*{1})*{2}
        tg.where({0}=={1},{2},<num>) ({0}!={1})*{2}""",
    "if": """{0}*{1} {1}+{0} {1}/({0}+1) tg.where({0}>1,{1},<num>) {1}**{0} tg.where({0}==<int>,{1},<num>)
        tg.minimum({0},{1}) ({0}*<int>+<int>)*{1} {1}*({0}*{0}) tg.sum({0})*{1} {1}*({0}/2)
        tg.one_hot({0},num_classes=3,dtype="float64")*tg.mean({1})""",
    "iff": "tg.where({0}>1,{1},{2}) tg.where({0}==1,{1},{2})",
    "b": """{0}*<num> {0}/2 {0}.astype("float64") tg.where({0},<num>,<num>) tg.sum({0},axis=<axis>)*1.0
        tg.mean({0}.astype("float64"),axis=<axis>,keepdims=True) tg.where({0},0.1*<moving>,<num>)""",
    "i": """{0}*<num> {0}/3 {0}.astype("float64") tg.one_hot({0},num_classes=3,dtype="float64")
        tg.where({0}>1,<num>,<num>) ({0}*<int>).astype("float64")""",
}
BOOLS = {
    "f": "{0}><num> {0}<<num> {0}>=0 {0}!=0 tg.lt({0},<num>) tg.eq({0},0)",
    "ff": "{0}>{1} {0}<={1}",
    "b": "~{0} tg.logical_not({0}) {0}[...,:1] {0}&(<moving>>1) {0}==<bool>",
    "bb": "{0}&{1} {0}|{1} {0}=={1} tg.logical_and({0},{1}) {0}!={1} {0}*{1} {0}+{1}",
    "i": "{0}>1 {0}==<int> {0}<=<int>",
}
INTS = {
    "f": """tg.argmax({0},axis=<axis>) tg.argmin({0},axis=<axis>,keepdims=True) tg.argmax({0})
        tg.argmin({0}) tg.argmax({0}-<num>,axis=-1)""",
    "i": "{0}+<int> {0}*2 {0}-<int> {0}*{0} -{0} {0}+<int> tg.abs({0}-1) tg.sum({0},axis=<axis>,keepdims=True) {0}**2",
    "b": '{0}*2 {0}.astype("int64") tg.sum({0},axis=<axis>,keepdims=True) {0}+1',
    "ib": "{0}+{1} {0}*{1} tg.where({1},{0},<int>)",
    "ii": "{0}+{1} tg.maximum({0},{1}) {0}*{1}",
}
MOVING = ["0.1*t", "(t+1)/4", "1-0.2*t", "t", "t%2", "float(t==0)", "0.5**t", "[0.3,-0.2,0.7][t%3]", "t%2==0", "0.3*(-1)**t", "t>1", "-0.1*t", "0.4*t-0.5", "(t-1)/3", "min(t,2)", "1/(t+1)"]  # fmt: skip
NUMBERS = {  # those that stay the same, and those that vary by step
    "num": ("0.5 -0.3 2 1.5 1 0 0.0 0.25 -1 1.0 -0.7 True np.float64(0.3)", " ".join(MOVING)),
    "pos": ("0.5 2 1.5 3", "(t+1)/4 1.2-0.1*t/T [0.3,0.2,0.7][t%3] 1/(t+1)"),
    "small": ("0.3 -0.2", "0.05*t -0.1*(t%2)"),
    "p": ("0.3 0.5 0.3 0.1", "0.1*(t%3) 0.3*(t%2)"),
    "int": ("0 1 2", "t t%2 t+1"),
    "bool": ("True False", "t%2==0"),
    "column": ("0 -1 1", "t%2 -1-t%2"),
    "axis": ("0 1 -1 -1 1 2 -2", "0 1 -1 -1 1 t%2"),
}
READS = [
    "{0}[t]",
    "{0}[t]",
    "{0}[t]",
    "{0}[t]",
    "{0}[t+1]",
    "{0}[t+2]",
    "{0}[2*t]",
    "{0}[-1-t]",
    "{0}[T-1-t]",
    "{0}[t]+{0}[t+1]",
    "{0}[t]*{0}[-1-t]",
    "{0}[t]-{0}[2*t]",
    "{0}[t-1]",
    "{0}[t%2]",
    "{0}[t//2]",
    "{0}[2*t+1]",
    "{0}[T-t]",
    "{0}[t][:,:1]",
    "{0}[t,:,:1]",
    "{0}[t:t+2]",
    "{0}[t:t+1]",
    "{0}[t,...,-1]",
    "{0}[0]",
    "{0}[-1]",
    "{0}[t]*{0}[t]",
    "{0}[-2-t]",
    "{0}[t:t+2].mean(axis=0)",
    "{0}[t:t+3].sum(axis=0)",
    "{0}[:t+1].sum(axis=0)",
]
LIST_READS = [
    "{0}[t]",
    "{0}[t]",
    "{0}[t]",
    "{0}[t+1]",
    "{0}[-1-t]",
    "{0}[2*t]",
    "{0}[t]+{0}[t+1]",
    "{0}[t-1]",
    "{0}[t%2]",
    "{0}[T-1-t]",
]
CONDITIONS = [
    "t==0",
    "t==0",
    "t==0",
    "t%2",
    "t%2==0",
    "t==T-1",
    "t>0",
    "t<2",
    "t%3==1",
    "t<T-1",
    "t>=2",
    "t==1",
]
