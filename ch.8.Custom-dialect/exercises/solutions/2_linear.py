from lowering import INIT, Op

LINEAR = (
    INIT
    + """
  %{out}_bias = linalg.generic {{indexing_maps = [{c_map}, {all}], iterator_types = [{loops}]}}
      ins(%{c} : {c_type}) outs(%{out}_init : {type}) {{
  ^bb0(%x: f32, %old: f32):
    linalg.yield %x : f32
  }} -> {type}
  %{out} = linalg.matmul ins(%{a}, %{b} : {a_type}, {b_type}) outs(%{out}_bias : {type}) -> {type}"""
)


def linear(x, w, b):
    """[M, K], [K, N], [N] -> [M, N]"""
    fits = len(x) == len(w) == 2 and x[1] == w[0] and b == w[1:]
    return (x[0], w[1]) if fits else None


OPS = {"nn.linear": Op(LINEAR, linear)}
