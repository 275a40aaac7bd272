// attention_block.cpp - one block of pages into the state of some rows.
//
// A row's state is m and l, on the stack, and o, in its place in `out`. What a
// row computes is the same whether it shares the look at K and V or not: each
// sum has one accumulator, and takes d, or the places, from first to last.
#include "ch14/Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;

namespace ch14 {

static constexpr float kInfinity = std::numeric_limits<float>::infinity();

// [state]
/// m = -inf, l = 0, o = 0.
void Attention::start(Value r) {
  memref::StoreOp::create(b, b.f32(-kInfinity), maxima, r);
  memref::StoreOp::create(b, b.f32(0), sums, r);
  for (auto [at, lanes] : pieces)
    storeOut(b.splat(b.f32(0), lanes), r, at);
}
// [/state]

// [scores]
/// weights[r, j] = scale * sum over d of q[d] * K[d, j], in the order of d,
/// for the pages that hold the first `places` places. Some pages at once: one
/// beyond the last is the last again, and nobody looks at what comes out.
void Attention::scores(Block block, Value r, int64_t count) {
  int64_t atOnce = std::clamp<int64_t>(registers / (count * vectors), 1, N);
  Value pages = pagesOf(block.places), last = b.sub(pages, b.index(1));
  b.loop(b.index(0), pages, atOnce, [&](Value begin) {
    Values page;
    for (int64_t p = 0; p < atOnce; ++p)
      page.push_back(pageOf(block, b.smaller(b.add(begin, b.index(p)), last)));
    Values s(count * atOnce, b.splat(b.f32(0), P));
    s = b.loop(b.index(0), b.index(D), 1, s, [&](Value d, ValueRange now) {
      Values k, next;
      for (Value where : page)
        k.push_back(b.load(op.getKeys(), {where, head, d, b.index(0)}, P));
      for (int64_t i = 0; i < count; ++i) {
        Value q = memref::LoadOp::create(
            b, op.getQkv(),
            ValueRange{rowOf(b.add(r, b.index(i))), b.add(column, d)});
        for (int64_t p = 0; p < atOnce; ++p)
          next.push_back(b.fma(b.splat(q, P), k[p], now[i * atOnce + p]));
      }
      return next;
    });
    Value scale = b.splat(b.f32(1.0 / std::sqrt(double(D))), P);
    for (int64_t i = 0; i < count; ++i)
      for (int64_t p = 0; p < atOnce; ++p)
        b.store(arith::MulFOp::create(b, s[i * atOnce + p], scale), weights,
                {b.add(r, b.index(i)), b.mul(b.add(begin, b.index(p)), P)});
  });
}
// [/scores]

// [softmax]
/// One block into (m, l, o) of a row, but for p . V. Its first `places`
/// places are the row's past; a block without any changes nothing.
void Attention::softmax(Value r, Value places) {
  b.branch(
      b.equal(places, b.index(N * P)), [&] { renew(r, b.index(N), Value()); },
      [&] { renew(r, pagesOf(places), places); });
}

/// The same for all of its first `pages` pages, or for `places` of them.
void Attention::renew(Value r, Value pages, Value places) {
  auto eachPage = [&](double initial, KernelBuilder::CarryBody body) {
    return b.loop(b.index(0), pages, 1, b.splat(b.f32(initial), P), body)[0];
  };
  /// The p-th page's scores; -inf beyond the past.
  auto scores = [&](Value p) {
    Value at = b.mul(p, P), s = b.load(weights, {r, at}, P);
    if (!places)
      return s;
    Value mask = vector::CreateMaskOp::create(
        b, VectorType::get({P}, b.getI1Type()), b.sub(places, at));
    return b.select(mask, s, b.splat(b.f32(-kInfinity), P));
  };
  Value oldMax = memref::LoadOp::create(b, maxima, r);
  // [renew]
  Value highest = eachPage(-kInfinity, [&](Value p, ValueRange now) -> Values {
    return {b.max(now[0], scores(p))};
  });
  Value m = b.max(oldMax, b.maximum(highest));
  correct(r, oldMax, m);
  Value total = eachPage(0, [&](Value p, ValueRange now) -> Values {
    Value weight = math::ExpOp::create(
        b, arith::SubFOp::create(b, scores(p), b.splat(m, P)));
    b.store(weight, weights, {r, b.mul(p, P)});
    return {arith::AddFOp::create(b, now[0], weight)};
  });
  Value l = memref::LoadOp::create(b, sums, r);
  memref::StoreOp::create(b, arith::AddFOp::create(b, l, b.sum(total)), sums,
                          r);
  // [/renew]
}

/// l = l c, o = o c with c = exp(oldMax - m). Where m has not changed c is 1,
/// and nothing is done.
void Attention::correct(Value r, Value oldMax, Value m) {
  Value changed =
      arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, m, oldMax);
  auto ifOp = scf::IfOp::create(b, changed);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(ifOp.thenBlock());
  Value c = math::ExpOp::create(b, arith::SubFOp::create(b, oldMax, m));
  Value l = memref::LoadOp::create(b, sums, r);
  memref::StoreOp::create(b, m, maxima, r);
  memref::StoreOp::create(b, arith::MulFOp::create(b, l, c), sums, r);
  for (auto [at, lanes] : pieces)
    storeOut(arith::MulFOp::create(b, loadOut(r, at, lanes), b.splat(c, lanes)),
             r, at);
}
// [/softmax]

// [mix]
/// o += sum over the first `places` places j of p[j] * V[j], in their order,
/// for `count` rows of the group from r on; some parts of o at a time.
void Attention::mix(Block block, Value r, int64_t count) {
  int64_t atOnce = std::max<int64_t>(registers / count, 1);
  for (size_t begin = 0; begin < pieces.size(); begin += atOnce) {
    auto some = ArrayRef(pieces).drop_front(begin).take_front(atOnce);
    auto eachPart = [&](function_ref<void(Value, int64_t, int64_t)> body) {
      for (int64_t i = 0; i < count; ++i)
        for (auto [at, lanes] : some)
          body(b.add(r, b.index(i)), at, lanes);
    };
    Values o;
    eachPart([&](Value row, int64_t at, int64_t lanes) {
      o.push_back(loadOut(row, at, lanes));
    });
    o = b.loop(
        b.index(0), pagesOf(block.places), 1, o, [&](Value p, ValueRange o) {
          Value page = pageOf(block, p), before = b.mul(p, P);
          Value end = b.smaller(b.sub(block.places, before), b.index(P));
          return b.loop(b.index(0), end, 1, o, [&](Value j, ValueRange now) {
            Values v, next;
            for (auto [at, lanes] : some)
              v.push_back(
                  b.load(op.getValues(), {page, head, j, b.index(at)}, lanes));
            for (int64_t i = 0; i < count; ++i) {
              Value weight = memref::LoadOp::create(
                  b, weights,
                  ValueRange{b.add(r, b.index(i)), b.add(before, j)});
              for (auto [part, lanes] : llvm::enumerate(some))
                next.push_back(b.fma(b.splat(weight, lanes.second), v[part],
                                     now[next.size()]));
            }
            return next;
          });
        });
    size_t next = 0;
    eachPart(
        [&](Value row, int64_t at, int64_t) { storeOut(o[next++], row, at); });
  }
}
// [/mix]

/// out[row, head] = o / l
void Attention::finish(Value r) {
  Value l = memref::LoadOp::create(b, sums, r);
  for (auto [at, lanes] : pieces) {
    Value o = loadOut(r, at, lanes);
    storeOut(arith::DivFOp::create(b, o, b.splat(l, lanes)), r, at);
  }
}

} // namespace ch14
