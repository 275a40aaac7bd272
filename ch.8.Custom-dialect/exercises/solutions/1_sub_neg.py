from lowering import ELEMENTWISE, INIT, Op, same, same_or_row

NEG = (
    INIT
    + """
  %{out} = linalg.generic {{indexing_maps = [{all}, {all}], iterator_types = [{loops}]}}
      ins(%{a} : {a_type}) outs(%{out}_init : {type}) {{
  ^bb0(%x: f32, %old: f32):
    %r = arith.negf %x : f32
    linalg.yield %r : f32
  }} -> {type}"""
)

OPS = {"nn.sub": Op(ELEMENTWISE.replace("SCALAR", "arith.subf"), same_or_row), "nn.neg": Op(NEG, same)}
